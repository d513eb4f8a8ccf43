"""Which kinds of files FFmpeg may take for a video."""

VIDEO_FORMATS = (
    "3gp,amv,apng,asf,av1,avi,cavsvideo,dv,flv,gif,gxf,h261,h263,h264,hevc,ivf,live_flv,m4v,matroska,mjpeg,"
    "mov,mpeg,mpegts,mpegvideo,mpjpeg,mxf,nsv,nut,obu,ogg,rm,smjpeg,swf,vc1,vvc,webm,wtv,yuv4mpegpipe"
)
"""FFmpeg's names of what holds video itself. Playlists and scripts (HLS, DASH, concat, SDP) are not among
them: they would make FFmpeg open what they name."""
