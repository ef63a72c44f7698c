import { hydrateRoot } from "react-dom/client";
import { App } from "./react-app.jsx";

hydrateRoot(document.getElementById("root"), <App {...window.given} />, {
  onRecoverableError: (error) => console.error("hydration:", error),
});
