import { createApp, reactive } from "vue/dist/vue.esm-bundler.js";

const now = reactive({ ...window.given, words: "Book here", here: true });
window.change = (more) => Object.assign(now, more);
const app = createApp({
  setup: () => ({ now, told: (event) => window.heard("held", event.detail) }),
  template: `<h1>{{ now.words }}</h1>
    <holdfast-booking v-if="now.here" id="box" widget="studio" :service="now.service" @holdfast:held="told">
      <small v-if="now.words === 'Book here'">In two minutes</small>
      <a :href="now.server + '/w/studio'">{{ now.words }}</a>
    </holdfast-booking>`,
});
app.config.compilerOptions.isCustomElement = (name) => name === "holdfast-booking";
app.mount("#root");
