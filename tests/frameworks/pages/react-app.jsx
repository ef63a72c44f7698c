import { StrictMode, useEffect, useState } from "react";
import { HoldfastBooking, openHoldfast } from "holdfast-react";

// `heard` and `change` are the test's: what the page is told, and another state.
function Page({ server, service }) {
  const [now, set] = useState({ service, words: "Book here", here: true });
  useEffect(() => {
    window.change = (more) => set((old) => ({ ...old, ...more }));
  }, []);
  return (
    <main>
      <h1>{now.words}</h1>
      {now.here && (
        <HoldfastBooking
          server={server}
          widget="studio"
          service={now.service}
          id="box"
          className="booking"
          onReady={(detail) => window.heard("ready", detail)}
          onHeld={(detail) => window.heard("held", { ...detail, words: now.words })}
          onError={(detail) => window.heard("error", detail)}
        >
          {now.words === "Book here" && <small>In two minutes</small>}
          <a href={`${server}/w/studio`}>{now.words}</a>
        </HoldfastBooking>
      )}
      <button onClick={() => openHoldfast(server, "studio", { service: now.service })}>In a dialog</button>
    </main>
  );
}

export const App = (given) => (
  <StrictMode>
    <Page {...given} />
  </StrictMode>
);
