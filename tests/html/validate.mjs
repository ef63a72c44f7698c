/* Validate HTML by the rules of the standard: `node validate.mjs FOLDER MARKUP`, where FOLDER has html-validate installed
   and MARKUP is a JSON list of { text, mail }. Prints a JSON list with the findings of each. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, markup] = process.argv.slice(2);
const { HtmlValidate, StaticConfigLoader } = createRequire(join(folder, "package.json"))("html-validate");
const rules = {
  // A button of a form submits it, as the standard has it and all of ours do.
  "no-implicit-button-type": "off",
  // Lists may be named, as WAI-ARIA has it.
  "aria-label-misuse": ["error", { allowAnyNamable: true }],
  // What scrolls has a name, also where it is a <pre>.
  "prefer-native-element": ["error", { exclude: ["region"] }],
  // Without scripts a page that waits for a payment loads itself again, fifteen times, and nobody types there.
  "meta-refresh": "off",
};
// Outlook lays out tables by their attributes and knows no <main>.
const mailRules = { ...rules, "no-deprecated-attr": "off", "prefer-native-element": "off" };
const validator = (rules) =>
  new HtmlValidate(
    new StaticConfigLoader({ root: true, extends: ["html-validate:standard", "html-validate:a11y"], rules }),
  );
const page = validator(rules), letter = validator(mailRules);
const found = JSON.parse(readFileSync(markup, "utf-8")).map(({ text, mail }) =>
  (mail ? letter : page)
    .validateStringSync(text)
    .results.flatMap((result) => result.messages)
    .map(({ ruleId, message, selector, line, column }) => ({ rule: ruleId, message, selector, line, column })),
);
process.stdout.write(JSON.stringify(found));
