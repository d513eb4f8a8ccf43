// The options of where and how a stream looks: the camera's rotation, the region and the ignored zones.

import { button, byId, element, setText } from "./dom.js";
import { choice, FieldGroup } from "./fields.js";
import { t } from "./i18n.js";
import { MIN_CORNERS, ZoneView } from "./zone_view.js";

/** @typedef {import("./api.js").StreamInfo} StreamInfo */
/** @typedef {import("./fields.js").Change} Change */
/** @typedef {import("./fields.js").OptionGroup} OptionGroup */
/** @typedef {import("./zone_geometry.js").Point} Point */
/** @typedef {import("./zone_view.js").Zone} Zone */
/** @typedef {import("./zone_view.js").ZoneKind} ZoneKind */

const MAX_ZONES = 16; // the server's limit
const UNKNOWN_SIZE = { width: 4, height: 3 };

/**
 * @param {Change} change
 * @returns {OptionGroup[]}
 */
export function viewGroups(change) {
  const rotation = choice(
    "rotation",
    t("Turn the picture"),
    t("Until it is upright, before anything else sees it. Zones are drawn in the turned picture."),
    [
      [0, t("not at all")],
      [90, t("90° to the right")],
      [180, t("180°")],
      [270, t("90° to the left")],
    ],
  );
  return [new FieldGroup(t("Camera"), "video_options", [rotation], change), new ZoneGroup(change)];
}

/** @implements {OptionGroup} */
class ZoneGroup {
  #change;
  #view = new ZoneView(byId("picture", HTMLElement), () => this.#update(), (zone) => this.#onFinish(zone));
  #region = button(t("Draw the region"), () => this.#begin("region"), { id: "draw-region" });
  #ignore = button(t("Add an ignored zone"), () => this.#begin("ignore"), { id: "draw-ignored" });
  #finish = button(t("Finish"), () => this.#view.finish(), { id: "zone-finish", class: "primary" });
  #back = button(t("Take back"), () => this.#view.takeBack(), { id: "zone-back" });
  #cancel = button(t("Cancel"), () => this.#view.cancel(), { id: "zone-cancel" });
  #hint = element("p", { class: "muted" });
  #bar = element("div", { class: "zone-bar", hidden: "" });
  #list = element("ul", { class: "zone-list", "aria-label": t("Zones") });
  #message = element("p", { class: "message", role: "status", "data-kind": "error" });
  #isDisabled = true;
  /** @type {ZoneKind | null} of the zone that is being drawn */
  #drawing = null;
  /** @type {Point[]} */
  #corners = [];
  /** @type {Point[][]} */
  #ignored = [];

  /** @param {Change} change */
  constructor(change) {
    this.#change = change;
    const help = t(
      "Only people in the region are found, and nobody in an ignored zone: a screen, a mirror, a poster. " +
        "The middle of the body decides.",
    );
    this.root = element(
      "fieldset",
      { class: "zone-options" },
      element("legend", {}, t("Zones")),
      element("p", { class: "help" }, help),
      element("div", { class: "actions" }, this.#region, this.#ignore),
      this.#list,
      this.#message,
    );
    this.#bar.append(this.#hint, this.#finish, this.#back, this.#cancel);
    document.querySelector(".controls")?.prepend(this.#bar); // below the picture, on a phone too
    this.#update();
  }

  /** @param {boolean} isDisabled */
  set disabled(isDisabled) {
    this.#isDisabled = isDisabled;
    if (isDisabled) this.#view.cancel();
    this.#update();
  }

  /** @param {StreamInfo} info */
  show({ pose, video }) {
    this.#corners = /** @type {Point[]} */ (pose["region"] ?? []);
    this.#ignored = /** @type {Point[][]} */ (pose["ignore"] ?? []);
    const zones = this.#ignored.map((corners) => /** @type {Zone} */ ({ kind: "ignore", corners }));
    if (this.#corners.length > 0) zones.unshift({ kind: "region", corners: this.#corners });
    this.#view.show(zones, video ?? UNKNOWN_SIZE);
    this.#showList(zones);
    this.#update();
  }

  /** @param {Zone[]} zones */
  #showList(zones) {
    const key = JSON.stringify(zones);
    if (this.#list.dataset["shown"] === key) return; // a button that has the focus keeps it
    this.#list.dataset["shown"] = key;
    let ignored = 0;
    const items = zones.map(({ kind }, index) => {
      const name = kind === "region" ? t("Region") : t("Ignored zone {number}", { number: ++ignored });
      const place = ignored - 1;
      const remove = button(t("Delete"), () => this.#remove(kind, place), { "aria-label": t("Delete: {name}", { name }) });
      const item = element("li", { class: kind }, element("span", {}, name), remove);
      for (const event of ["pointerenter", "focusin"]) item.addEventListener(event, () => { this.#view.marked = index; });
      for (const event of ["pointerleave", "focusout"]) item.addEventListener(event, () => { this.#view.marked = -1; });
      return item;
    });
    this.#view.marked = -1;
    this.#list.replaceChildren(...items);
  }

  /** @param {ZoneKind} kind */
  #begin(kind) {
    this.#drawing = kind;
    setText(this.#message, "");
    this.#view.begin(kind);
  }

  /** @param {Zone | null} zone */
  #onFinish(zone) {
    const opener = this.#drawing === "region" ? this.#region : this.#ignore;
    this.#drawing = null;
    this.#update();
    opener.focus({ preventScroll: true });
    if (zone?.kind === "region") void this.#save({ region: zone.corners });
    else if (zone) void this.#save({ ignore: [...this.#ignored, zone.corners] });
  }

  /**
   * @param {ZoneKind} kind
   * @param {number} place among the ignored ones
   */
  #remove(kind, place) {
    const others = this.#ignored.filter((_, index) => index !== place);
    void this.#save(kind === "region" ? { region: [] } : { ignore: others });
  }

  /** @param {{region: Point[]} | {ignore: Point[][]}} pose */
  async #save(pose) {
    setText(this.#message, await this.#change({ pose }));
  }

  #update() {
    const isDrawing = this.#drawing !== null;
    this.#region.disabled = this.#isDisabled || isDrawing;
    this.#ignore.disabled = this.#isDisabled || isDrawing || this.#ignored.length >= MAX_ZONES;
    for (const each of this.#list.querySelectorAll("button")) each.disabled = this.#isDisabled || isDrawing;
    setText(this.#region, this.#corners.length > 0 ? t("Draw the region anew") : t("Draw the region"));
    this.#bar.hidden = !isDrawing;
    const { corners } = this.#view;
    this.#finish.disabled = corners < MIN_CORNERS;
    this.#back.disabled = corners === 0;
    const hint =
      corners < MIN_CORNERS
        ? t("Click or tap the corners in the picture, three at least.")
        : t("More corners, or finish: a click on the first corner does it too.");
    setText(this.#hint, isDrawing ? hint : "");
  }
}
