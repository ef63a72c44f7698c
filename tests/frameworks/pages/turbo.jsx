import * as Turbo from "@hotwired/turbo";

window.visit = (url, action) => Turbo.visit(url, { action });
