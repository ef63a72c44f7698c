// Builds the host pages' scripts: node build.mjs FOLDER, where FOLDER has node_modules and takes what is built.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const folder = resolve(process.argv[2]);
const require = createRequire(join(folder, "package.json"));
const { build } = require("esbuild");
const { compile } = require("svelte/compiler");
const here = import.meta.dirname;

const svelte = {
  name: "svelte",
  setup(bundler) {
    bundler.onLoad({ filter: /\.svelte$/ }, async ({ path }) => {
      const { js, warnings } = compile(await readFile(path, "utf8"), { filename: path, generate: "client" });
      return { contents: js.code, warnings: warnings.map(({ message }) => ({ text: message })) };
    });
  },
};
const common = {
  absWorkingDir: here,
  alias: { "holdfast-react": join(here, "../../integrations/react/index.js") },
  bundle: true,
  // Development builds are the ones that say what they do not like, such as a hydration that does not fit.
  define: { "process.env.NODE_ENV": '"development"', __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "true" },
  jsx: "automatic",
  logLevel: "warning",
  nodePaths: [join(folder, "node_modules")],
  outdir: join(folder, "built"),
};
await build({
  ...common,
  entryPoints: ["react", "vue", "svelte", "turbo", "morphs"].map((name) => `pages/${name}.jsx`),
  conditions: ["browser", "development"],
  format: "iife",
  plugins: [svelte],
});
await build({ ...common, entryPoints: ["pages/react-server.jsx"], format: "cjs", outExtension: { ".js": ".cjs" }, platform: "node" });
