// The options of [overlay] but for the two beside the picture.

import { check, FieldGroup, number } from "./fields.js";
import { t } from "./i18n.js";

const MAX_LINE_PX = 20;

/** @param {import("./fields.js").Change} change */
export function lookGroup(change) {
  const fields = [
    number(
      "line_width",
      t("Line width"),
      t("In pixels of the picture. 0: as suits its size."),
      { min: 0, max: MAX_LINE_PX, step: 0.5 },
    ),
    check("angles", t("Angles"), t("In degrees, beside knees, hips, shoulders and elbows that can be seen.")),
    check("ids", t("Numbers"), t("Each person's, in a colour of their own.")),
    check("confidence", t("Scores"), t("How sure it is that a person is there.")),
    check("trails", t("Trails"), t("Where hands and feet were in the last second.")),
  ];
  return new FieldGroup(t("What is drawn"), "overlay", fields, change);
}
