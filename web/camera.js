// This computer's camera: asking for it, and what to say when it can't be had.

import { t } from "./i18n.js";

/** @typedef {{width: number, height: number}} Size */

/** Why there is no camera, as a title and what to do. */
export class CameraError extends Error {
  /**
   * @param {string} title
   * @param {string[]} advice
   * @param {{canRetry?: boolean, more?: string}} [ways] out of it; `more`: a page that says more
   */
  constructor(title, advice, { canRetry = true, more = "" } = {}) {
    super(title);
    this.name = "CameraError";
    this.advice = advice;
    this.canRetry = canRetry;
    this.more = more;
  }
}

/** Browsers give cameras to https pages and to this computer's own address only. */
export const canAsk = Boolean(navigator.mediaDevices);

export function insecureOrigin() {
  return new CameraError(
    t("This page needs https on another device"),
    [
      t("Browsers open the camera only for https, and this page came by {protocol}//.", {
        protocol: location.protocol,
      }),
      t(
        "Start the server with --tls, and open it here with https://. " +
          "On the computer that runs Streamer, http://localhost works without.",
      ),
    ],
    { canRetry: false, more: "/trust" },
  );
}

/**
 * Asks the person for the camera; throws CameraError.
 * @param {Size} size
 * @param {string} deviceId "" for the browser's own choice
 * @returns {Promise<MediaStream>}
 */
export async function openCamera({ width, height }, deviceId) {
  if (!canAsk) throw insecureOrigin();
  const video = {
    width: { ideal: width },
    height: { ideal: height },
    frameRate: { ideal: 30 },
    ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
  };
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    throw explain(error);
  }
}

/**
 * @param {unknown} error
 * @returns {unknown}
 */
function explain(error) {
  if (!(error instanceof DOMException)) return error;
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return new CameraError(t("The camera was not allowed"), [
        t("Click the sign beside the address, allow the camera for this page, then try again."),
        t("If nothing asks, see whether the system's privacy settings let the browser use it."),
      ]);
    case "NotFoundError":
      return new CameraError(t("No camera found"), [
        t("Connect a camera, or open this page on a device that has one."),
      ]);
    case "NotReadableError":
    case "AbortError":
      return new CameraError(t("The camera is busy"), [
        t("Another program seems to use it. Close video calls and the like, then try again."),
      ]);
    case "OverconstrainedError":
      return new CameraError(t("That camera is gone"), [
        t("Choose another one, then try again."),
      ]);
    default:
      return new CameraError(t("The camera can't be opened"), [
        t("The browser says: {message}", { message: error.message }),
      ]);
  }
}

/**
 * Cameras by name; browsers tell the names after the first permission only.
 * @returns {Promise<MediaDeviceInfo[]>}
 */
export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind, deviceId }) => kind === "videoinput" && deviceId);
}

/** @param {MediaStream | null} camera */
export function closeCamera(camera) {
  for (const track of camera?.getTracks() ?? []) track.stop();
}
