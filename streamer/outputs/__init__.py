"""Ways out of a session that need no WebRTC: JPEG pictures, and video pushed to an RTSP server."""
