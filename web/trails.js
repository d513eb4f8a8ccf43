// Where hands and feet were in the last second of media time, as streamer/overlay/trails.py has it.

import { sightOf, widthOn } from "./figure.js";
import { LANDMARK_NAMES, sideOf } from "./landmarks.js";
import { colourOf } from "./look.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./look.js").Sheet} Sheet */
/** @typedef {readonly [x: number, y: number]} Place */
/** @typedef {{pts: number, epoch: number, people: Map<number, (Place | null)[]>}} Moment null: not seen */
/** @typedef {{third: number, limb: number, path: Place[]}} Piece third: of the second; 0: the oldest */

const KEPT_TICKS = 90_000;
const STEP_TICKS = KEPT_TICKS / 16; // which bounds what is kept
const GAP_TICKS = KEPT_TICKS / 2;

/** Of the oldest third of a trail, the middle one and the newest: how much of its colour is seen. */
const STRENGTHS = [0.3, 0.6, 0.9];
const LIMBS = ["left wrist", "right wrist", "left ankle", "right ankle"].map((name) =>
  LANDMARK_NAMES.indexOf(name),
);

/** Of all people in successive frames, which are forgotten when the media time jumps. */
export class Trails {
  /** @type {Moment[]} */
  #moments = [];

  clear() {
    this.#moments = [];
  }

  /** @param {PoseMessage} message of the next frame that is shown, or of the same again */
  add({ pts, epoch, poses }) {
    const last = this.#moments.at(-1);
    if (last?.pts === pts && last.epoch === epoch) return;
    const goesOn = last && last.epoch === epoch && pts > last.pts && pts - last.pts <= GAP_TICKS;
    if (!goesOn) this.clear();
    this.#moments = this.#moments.filter((moment) => pts - moment.pts <= KEPT_TICKS);
    const [before, newest] = this.#moments.slice(-2);
    if (before && newest && newest.pts - before.pts < STEP_TICKS) this.#moments.pop();
    this.#moments.push({ pts, epoch, people: new Map(poses.map((pose) => [pose.id, limbsOf(pose)])) });
  }

  /**
   * Those of the people in the newest frame, the oldest parts first.
   * @param {Sheet} sheet
   * @param {Look} look
   */
  draw(sheet, look) {
    const { context } = sheet;
    const { width, height } = context.canvas;
    context.lineWidth = widthOn(sheet, look);
    context.lineCap = "round";
    context.lineJoin = "round";
    const people = [...(this.#moments.at(-1)?.people.keys() ?? [])];
    STRENGTHS.forEach((strength, third) => {
      context.globalAlpha = strength;
      for (const person of people) {
        for (const piece of this.pieces(person)) {
          if (piece.third !== third) continue;
          context.strokeStyle = colourOf(look, person, sideOf(piece.limb));
          context.beginPath();
          for (const [x, y] of piece.path) context.lineTo(x * width, y * height);
          context.stroke();
        }
      }
    });
    context.globalAlpha = 1;
  }

  /**
   * Each third of the second begins where the one before it ends.
   * @param {number} person
   * @returns {Piece[]}
   */
  pieces(person) {
    return LIMBS.flatMap((limb, number) => {
      /** @type {Piece[]} */
      const pieces = [];
      /** @type {Piece | null} */
      let open = null;
      for (const moment of this.#moments) {
        const place = moment.people.get(person)?.[number];
        const third = this.#thirdOf(moment);
        /** @type {Place[]} */
        const from = open && open.third !== third ? open.path.slice(-1) : [];
        if (!place) {
          open = null;
        } else if (!open || open.third !== third) {
          open = { third, limb, path: [...from, place] };
          pieces.push(open);
        } else {
          open.path.push(place);
        }
      }
      return pieces.filter(({ path }) => path.length > 1);
    });
  }

  /** @param {Moment} moment */
  #thirdOf({ pts }) {
    const age = (this.#moments.at(-1)?.pts ?? pts) - pts;
    const third = Math.floor(((KEPT_TICKS - age) * STRENGTHS.length) / KEPT_TICKS);
    return Math.min(third, STRENGTHS.length - 1);
  }
}

/**
 * @param {Pose} pose
 * @returns {(Place | null)[]}
 */
function limbsOf(pose) {
  return LIMBS.map((index) => {
    const landmark = pose.landmarks[index];
    return landmark && sightOf(pose, index) === "plain" ? [landmark[0], landmark[1]] : null;
  });
}
