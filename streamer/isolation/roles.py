"""Which module's ``main(worker)`` a child runs. By name, since they are of higher layers than this one."""

ROLES = {
    "camera": "streamer.sources.worker",
    "decoder": "streamer.webrtc.decoder",
    "estimator": "streamer.pose.worker",
}
