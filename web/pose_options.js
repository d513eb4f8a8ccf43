// The options of [pose] that everybody may want (config/streamer.toml explains them all).

import { check, choice, FieldGroup, number } from "./fields.js";
import { t } from "./i18n.js";
import { MODEL_NAMES } from "./words.js";

/** @typedef {import("./fields.js").Options} Options */
/** @typedef {import("./fields.js").Change} Change */

const OFF = "off";
const MAX_PEOPLE = 8;
const MAX_HEIGHT_M = 3;

/**
 * @param {Change} change
 * @returns {FieldGroup[]}
 */
export function poseGroups(change) {
  return [
    new FieldGroup(t("Model"), "pose", modelFields(), change),
    new FieldGroup(t("Smoothness"), "pose", smoothingFields(), change),
    new FieldGroup(t("People"), "pose", peopleFields(), change),
    new FieldGroup(t("Picture and scale"), "pose", pictureFields(), change),
  ];
}

function modelFields() {
  return [
    choice(
      "model_complexity",
      t("Model"),
      t("Heavier ones are more accurate and slower. The video goes on while another is loaded."),
      MODEL_NAMES.map((name, complexity) => [complexity, name]),
    ),
    check(
      "adapt",
      t("Step down under load"),
      t("A lighter model while this machine can't keep up, and the chosen one again when it can."),
    ),
  ];
}

function smoothingFields() {
  return [
    choice(
      "smoothing",
      t("Smoothing"),
      t("Off: as the model says. Steadier is calmer, and follows quick movements later."),
      [[OFF, t("off")], ["mediapipe", t("MediaPipe's own")], ["default", t("default")], ["steady", t("steadier")]],
      {
        read: ({ smooth_landmarks, smoothing }) => (smooth_landmarks ? smoothing : OFF),
        write: (value) =>
          value === OFF ? { smooth_landmarks: false } : { smooth_landmarks: true, smoothing: value },
      },
    ),
    check("raw", t("Raw values too"), t("Messages also have the landmarks as they were before smoothing.")),
  ];
}

function peopleFields() {
  return [
    number("num_poses", t("People at most"), t("More than one costs time for each."), {
      min: 1, max: MAX_PEOPLE, step: 1,
    }),
    choice("follow", t("Whom to follow"), t("Where there are more people than that."), [
      ["sticky", t("who was there first")],
      ["largest", t("the largest")],
      ["central", t("the most central")],
    ]),
    number(
      "min_score",
      t("Lowest score"),
      t("0 to 1: how sure it must be that a person is there. 0 shows everything."),
      { min: 0, max: 1, step: 0.05 },
    ),
  ];
}

function pictureFields() {
  return [
    choice("low_light", t("Dark pictures"), t("Brightened for the model; what viewers see stays as it is."), [
      ["auto", t("brighten when needed")],
      ["off", t("leave as they are")],
      ["on", t("always brighten")],
    ]),
    number(
      "height_m",
      t("Height in metres"),
      t("The person's own, for true distances in 3D. 0: a typical body's."),
      { min: 0, max: MAX_HEIGHT_M, step: 0.01 },
    ),
  ];
}
