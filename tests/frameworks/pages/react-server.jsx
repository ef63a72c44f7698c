// The page as a server renders it: node react-server.cjs '{"server": "…", "service": "…"}'
import { renderToString } from "react-dom/server";
import { App } from "./react-app.jsx";

process.stdout.write(renderToString(<App {...JSON.parse(process.argv[2])} />));
