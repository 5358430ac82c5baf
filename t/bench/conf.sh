# The configurations that the bench compares; read by start_server.
# Both packagers cut 2 s segments and list the same span ($KEEP seconds).

conf_rtmp_hls() {
    mkdir -p "$SCRATCH/rtmp_hls/hls"

    cat << END
load_module $(modules_dir)/ngx_rtmp_module.so;
rtmp {
    access_log off;
    server {
        listen 127.0.0.1:$RTMP_PORT;
        application live {
            live on;
            hls on;
            hls_path $SCRATCH/rtmp_hls/hls;
            hls_fragment 2s;
            hls_playlist_length ${KEEP}s;
        }
    }
}
END
}


conf_rtmp_receive() {
    cat << END
load_module $(modules_dir)/ngx_rtmp_module.so;
rtmp {
    access_log off;
    server {
        listen 127.0.0.1:$RTMP_PORT;
        application live { live on; }
    }
}
END
}


conf_live() {
    local stream

    stream=$(modules_dir)/ngx_stream_module.so
    [ ! -e "$stream" ] || echo "load_module $stream;"

    cat << END
load_module $SO;
live {
    zone 4g;

    application live {
        segment 2s;
        window ${KEEP}s;
        rendition source copy;
    }

    application long {
        segment 4s;
        window 600s;
        rendition source copy;
    }
}
stream {
    server { listen 127.0.0.1:$RTMP_PORT; live_rtmp; }
}
http {
    $(http_temp_paths live)
    server {
        listen 127.0.0.1:$HTTP_PORT;
        location /live/ { live_play live; }
        location /long/ { live_play long; }
    }
}
END
}


# Low latency beside the same without; "parked" holds requests for 8 s.
conf_low_latency() {
    local stream

    stream=$(modules_dir)/ngx_stream_module.so
    [ ! -e "$stream" ] || echo "load_module $stream;"

    cat << END
load_module $SO;
live {
    zone 8g;
    window 6s;
    segment 2s max=2s;
    rendition source copy;

    application parts { part 200ms; }
    application audio { part 500ms; }
    application poll { part 0; }
    application parked { segment 8s max=9s; window 30s; part 500ms; }
}
stream {
    server { listen 127.0.0.1:$RTMP_PORT; live_rtmp; }
}
http {
    $(http_temp_paths low_latency)
    server {
        listen 127.0.0.1:$HTTP_PORT backlog=4096 reuseport;
        location /parts/ { live_play parts; }
        location /audio/ { live_play audio; }
        location /poll/ { live_play poll; }
        location /parked/ { live_play parked; }
        location /limit/ { root $SCRATCH; open_file_cache max=16; }
    }
}
END
}


# The files of $SCRATCH/files in every way that nginx has of serving them, and
# the playlist from the configuration itself, which is the floor.
conf_static() {
    local cache="open_file_cache max=16 inactive=1h;
                 open_file_cache_valid 1h; open_file_cache_min_uses 1;"

    cat << END
http {
    $(http_temp_paths static)
    server {
        listen 127.0.0.1:$STATIC_PORT;
        location /file/        { alias $SCRATCH/files/; }
        location /cached/      { alias $SCRATCH/files/; gzip_static on;
                                 $cache }
        location /cached_copy/ { alias $SCRATCH/files/; gzip_static on;
                                 sendfile off; $cache }
        location = /return     { default_type application/vnd.apple.mpegurl;
                                 return 200 "$(quoted_playlist)"; }
    }
}
END
}


# nginx takes words of less than 4096 bytes
quoted_playlist() {
    [ ! -e "$SCRATCH/files/playlist.m3u8" ] \
        || head -c 3800 "$SCRATCH/files/playlist.m3u8" \
           | sed 's/[\\"]/\\&/g; s/\$/_/g'
}
