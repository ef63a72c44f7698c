// What Livewire (Alpine's morph) and LiveView (morphdom) put a page in order with.
import Alpine from "alpinejs";
import morph from "@alpinejs/morph";
import morphdom from "morphdom";

Alpine.plugin(morph);
Alpine.start();
window.livewire = (html) => Alpine.morph(document.getElementById("root"), html);
window.liveview = (html) => morphdom(document.getElementById("root"), html);
