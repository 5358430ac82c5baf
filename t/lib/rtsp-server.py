#!/usr/bin/python3

"""An RTSP server with one clip, without an end.

rtsp-server.py PORT PATH CLIP: rtsp://127.0.0.1:PORT/PATH
CLIP is an FLV of H.264 and AAC.
"""

import sys

import gi

gi.require_version('Gst', '1.0')
gi.require_version('GstRtspServer', '1.0')

from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main():
    port, path, clip = sys.argv[1:]

    Gst.init(None)

    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(
        f'( filesrc location={clip} ! flvdemux name=d '
        'd.video ! queue ! h264parse ! rtph264pay name=pay0 pt=96 '
        'd.audio ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97 )')

    server = GstRtspServer.RTSPServer()
    server.set_address('127.0.0.1')
    server.set_service(port)
    server.get_mount_points().add_factory('/' + path, factory)
    server.attach(None)

    GLib.MainLoop().run()


main()
