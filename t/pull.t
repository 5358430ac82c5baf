#!/usr/bin/env perl

# Streams that the control API creates with a source_url: pulled by a worker
# from whatever libav can open, begun anew when they break off.

# asan
# waits

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP qw/ decode_json encode_json /;
use Test::Live;
use Test::Live::M3U8;
use Test::More;
use Time::HiRes qw/ time /;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 128m;
    segment 500ms max=1s;
    part 250ms;
    window 20s;
    resume 30s;
    publish_timeout 4s;
    pull_protocols rtmp rtsp srt http tcp file;

    application live { }
    application net { pull_protocols http rtmp; }
    application none { pull_protocols off; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /live/ { live_play live; }
        location /streams { live_api live publish=rtmp://h/live; }
        location /net { live_api net; }
        location /none { live_api none; }
        location /metrics { live_metrics; }
    }
}
CONF

# What frames are of, so that they can be counted.
my $seconds = 6;
my $clip = $t->clip(seconds => $seconds, gop => 15);
my $long = $t->clip(seconds => 60, gop => 15);

$t->run();

test_refused();
test_file();
test_hls();
test_listeners();
test_rtmp();
test_rtsp();
test_again();
test_failing();
test_codecs();
test_busy();
test_secrets();
test_silent();
test_crash();
test_reload();
test_memory();
test_quit();

done_testing();


# --- asking -------------------------------------------------------------------

sub ask {
    my ($method, $uri, $json) = @_;

    my $r = $t->get($uri, method => $method,
                    $json ? (body => encode_json($json)) : ());

    $r->{json} = eval { decode_json($r->{body}) } if length $r->{body};

    return $r;
}


sub create {
    my ($name, $url, %more) = @_;

    return ask('POST', '/streams', { stream_id => $name, source_url => $url,
                                     %more });
}


sub source {
    my ($name) = @_;

    my $r = ask('GET', "/streams/$name");

    return $r->{status} == 200 ? $r->{json}{source} : { state => 'none' };
}


sub remove {
    my ($name) = @_;

    is(ask('DELETE', "/streams/$name")->{status}, 204, "$name is deleted");
    ok($t->wait_for(sub {
        my $r = ask('GET', "/streams/$name");
        return $r->{status} == 404 || $r->{json}{state} eq 'ended';
    }, 15, "the end of $name"), "$name has ended");
}


sub playlist {
    my ($name) = @_;

    my $r = $t->get("/live/$name/source/playlist.m3u8");

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : undef;
}


# It is pulled, plays, and what it plays can be decoded.
sub check_plays {
    my ($name, $what, %o) = @_;

    ok($t->wait_for(sub { source($name)->{state} eq 'running' }, 30,
                    "$name that is pulled"), "$what: it is pulled")
        or diag(explain(source($name)));

    ok($t->wait_for(sub {
        my $p = playlist($name);
        return $p && @{ $p->{segments} } >= 4;
    }, 40, "segments of $name"), "$what: it has segments") or return;

    my ($code, $output) = $t->command(qw/ ffprobe -v error -read_intervals
        %+2 -show_entries stream=codec_name -show_entries
        packet=stream_index -of csv /,
        'http://127.0.0.1:' . $t->port(8080) . "/live/$name/playlist.m3u8");

    my %packets;
    $packets{$1}++ while $output =~ /^packet,(\d+)/mg;

    is($code, 0, "$what: ffprobe reads it");
    like($output, qr/h264/, "$what: it has H.264");
    like($output, qr/aac/, "$what: it has AAC") unless $o{silent};
    cmp_ok($packets{0} // 0, '>=', 40, "$what: pictures");
    cmp_ok($packets{1} // 0, '>=', 40, "$what: sound") unless $o{silent};
}


# --- what is asked ------------------------------------------------------------

sub test_refused {
    my %wrong = (
        'is a string of at most 1023 characters' =>
            [ 7, "http://h/" . 'x' x 1100 ],
        'is no URL as "rtmp://host/live/name"' =>
            [ '', 'h/live', '/etc/passwd', "http://h/a b", "rtmp://h/\n" ],
        'has a protocol that "pull_protocols" does not allow' =>
            [ 'udp://127.0.0.1:1', 'concat://a|b', 'https://h/x.m3u8' ],
    );

    for my $reason (sort keys %wrong) {
        for my $url (@{ $wrong{$reason} }) {
            my $r = create('wrong', $url);

            is($r->{status}, 400, "not pulled: $reason");
            is($r->{json}{fields}{source_url}, $reason, 'its reason');
        }
    }

    for my $uri (qw( /net /none )) {
        is(ask('POST', $uri, { stream_id => 'x',
                               source_url => 'file:///x' })->{status}, 400,
           "$uri: an application that does not allow it");
    }

    is(ask('POST', '/net', { stream_id => 'x',
                             source_url => 'http://127.0.0.1:1/' })->{status},
       201, 'one that does');
    is(ask('DELETE', '/net/x')->{status}, 204, 'it is deleted');
}


# A file plays at its own speed, once, and all of it.
sub test_file {
    my $r = create('file', "file://$clip");
    my $begin = time();

    is($r->{status}, 201, 'a file is to be pulled');
    is_deeply($r->{json}{source}, { url => "file://$clip", failed => 0,
                                    state => 'waiting' }, 'the answer says');
    is($r->{json}{key}, undef, 'nobody gets a key');
    is($r->{json}{publish}, undef, 'or where to publish');
    is(ask('POST', '/streams/file/key')->{status}, 409, 'or can ask for one');
    is(create('file', "file://$clip")->{status}, 409, 'it is there once');

    ok($t->wait_for(sub { source('file')->{state} eq 'ended' }, 40,
                    'the end of the file'), 'a file has an end');
    cmp_ok(time() - $begin, '>', $seconds - 2, 'and is not there at once');

    my $list = playlist('file');
    my $sum = 0;
    $sum += $_->{duration} for @{ $list->{segments} };

    cmp_ok(abs($sum - $seconds), '<', 0.6, "all of it was played: $sum");

    my ($code, $output) = $t->command(qw/ ffprobe -v error -count_packets
        -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 /,
        "$clip");
    my $wanted = $output + 0;

    is(ask('GET', '/streams/file')->{json}{renditions}[0]{frames}, $wanted,
       "each of its $wanted pictures");

    # workers look for what there is to pull meanwhile
    create('nobody', 'http://127.0.0.1:1/');
    ok($t->wait_for(sub { (source('nobody')->{failed} // 0) >= 2 }, 20,
                    'two tries of another one'), 'others are tried again');
    remove('nobody');
    is(source('file')->{state}, 'ended', 'it stays at its end');

    is(ask('POST', '/streams/file/start')->{status}, 200, 'it is started');
    ok($t->wait_for(sub { source('file')->{state} eq 'running' }, 20,
                    'it to begin anew'), 'and plays anew');
    is(ask('POST', '/streams/file/stop')->{status}, 200, 'it is stopped');
    ok($t->wait_for(sub { source('file')->{state} eq 'waiting' }, 20,
                    'it to stop'), 'and stops');
    my $line = 'pulling ends: the control API has ended it, '
               . 'stream: "live/file", pulled from "file:';

    like($t->log(), qr/\Q$line\E/,
         'the log says so');

    remove('file');
}


# What this nginx serves itself.
sub test_hls {
    my $pid = $t->ffmpeg_publish('live/origin', clip => $long, loop => -1);
    my $base = 'http://127.0.0.1:' . $t->port(8080) . '/live/origin';

    $t->wait_for(sub { my $p = playlist('origin');
                       return $p && @{ $p->{segments} } >= 6 }, 30,
                 'a stream to pull');

    create('hls', "$base/playlist.m3u8");
    check_plays('hls', 'HLS');
    remove('hls');

    create('ts', "$base/ts/playlist.m3u8");
    check_plays('ts', 'HLS of MPEG-TS');
    remove('ts');

    $t->end($pid);
}


# An ffmpeg that waits for whoever pulls it.
sub listener {
    my ($format, $url, @options) = @_;

    return $t->spawn(qw/ ffmpeg -nostdin -loglevel error -re -stream_loop -1
                         -i /, $long, qw/ -c copy /, @options, '-f', $format,
                     $url);
}


sub test_listeners {
    my @kinds = (
        [ 'mpegts', 'http', '/x.ts', '', '-listen', 1 ],
        [ 'flv', 'http', '/x.flv', '', '-listen', 1 ],
        [ 'mpegts', 'srt', '', '?mode=listener' ],
        [ 'mpegts', 'tcp', '', '?listen=1' ],
    );

    for my $kind (@kinds) {
        my ($format, $scheme, $path, $query, @options) = @$kind;

        my $url = "$scheme://127.0.0.1:" . $t->free_port() . $path;
        my $pid = listener($format, $url . $query, @options);

        is(create('listener', $url)->{status}, 201, "$scheme, $format");
        check_plays('listener', "$format over $scheme");
        remove('listener');
        $t->end($pid);
    }
}


# Another server's stream: nginx-rtmp's.
sub test_rtmp {
    my $port = $t->free_port();
    my $dir = $t->dir() . '/relay';

    mkdir $dir;

    (my $module = $t->stream_module() || '/usr/lib/nginx/modules/x')
        =~ s{[^/]*$}{ngx_rtmp_module.so};

    $t->write_file('relay/nginx.conf', <<"CONF");
load_module $module;
daemon off;
user root;
pid $dir/nginx.pid;
error_log $dir/error.log;
events { }
rtmp { server { listen 127.0.0.1:$port; application live { live on; } } }
CONF

    my $relay = $t->spawn($t->binary(), '-p', $dir, '-c', "$dir/nginx.conf",
                          '-e', "$dir/error.log");

    $t->wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                             PeerPort => $port) }, 15,
                 'nginx-rtmp');

    my $pid = $t->ffmpeg_publish("rtmp://127.0.0.1:$port/live/x",
                                 clip => $long, loop => -1);

    create('rtmp', "rtmp://127.0.0.1:$port/live/x");
    check_plays('rtmp', 'RTMP');

    # its encoder goes and comes

    $t->end($pid);
    ok($t->wait_for(sub { source('rtmp')->{state} ne 'running' }, 30,
                    'the end of RTMP'), 'RTMP: its publisher goes');
    ok(source('rtmp')->{error}, 'and it is said: '
                                . (source('rtmp')->{error} // ''));

    $pid = $t->ffmpeg_publish("rtmp://127.0.0.1:$port/live/x", clip => $long,
                              loop => -1);
    ok($t->wait_for(sub { source('rtmp')->{state} eq 'running' }, 40,
                    'RTMP again'), 'it comes again');
    ok($t->wait_for(sub {
        my $p = playlist('rtmp');
        return $p && grep { $_->{discontinuity} } @{ $p->{segments} };
    }, 20, 'a discontinuity'), 'on the same timeline, with a discontinuity');

    remove('rtmp');
    $t->end($pid);
    $t->end($relay);
}


sub test_rtsp {
    my $port = $t->free_port();
    my $pid = $t->spawn($t->root() . '/t/lib/rtsp-server.py', $port, 'cam',
                        $long);

    create('rtsp', "rtsp://127.0.0.1:$port/cam");
    check_plays('rtsp', 'RTSP');
    remove('rtsp');
    $t->end($pid);
}


# --- what goes wrong ----------------------------------------------------------

# A source that ends is tried again, and again.
sub test_again {
    my $url = 'tcp://127.0.0.1:' . $t->free_port();
    my $pid = listener('mpegts', "$url?listen=1");

    create('again', $url);
    check_plays('again', 'the first time');
    $t->end($pid);

    ok($t->wait_for(sub {
        return (source('again')->{error} // '') =~ /Connection refused/;
    }, 30, 'another try'), 'a source that is away is tried again');
    cmp_ok(source('again')->{failed}, '>', 1, 'and again');

    $pid = listener('mpegts', "$url?listen=1");
    ok($t->wait_for(sub { source('again')->{state} eq 'running' }, 30,
                    'it to come back'), 'until it is back');
    is(source('again')->{error}, undef, 'no error is left');

    my ($waits) = $t->log() =~ /Connection refused; next try in (\d+)s/;
    ok($waits, 'the log says when it tries');

    remove('again');
    $t->end($pid);
}


sub test_failing {
    my $port = $t->free_port();

    create('no', "http://127.0.0.1:$port/x.ts");
    create('dns', 'http://nobody.invalid/x.ts');
    create('not', 'http://127.0.0.1:' . $t->port(8080) . '/metrics');
    create('gone', 'http://127.0.0.1:' . $t->port(8080) . '/live/nix');
    create('nofile', 'file:///nowhere/x.mp4');

    for ([ no => qr/Connection refused/ ], [ dns => qr/cannot be opened/ ],
         [ not => qr/Invalid data/ ], [ gone => qr/404 Not Found/ ],
         [ nofile => qr/No such file/ ])
    {
        my ($name, $error) = @$_;

        ok($t->wait_for(sub { source($name)->{failed} }, 30,
                        "$name to fail"), "$name fails");
        like(source($name)->{error}, $error, 'and says why');
        is(ask('GET', "/streams/$name")->{json}{state}, 'created',
           'it is created, no more');
        is(ask('DELETE', "/streams/$name")->{status}, 204, 'it is deleted');
    }

    # a playlist does not lead to files, and one that is a file not elsewhere

    my $dir = $t->dir();

    $t->write_file('secret.m3u8', "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"
                   . "#EXTINF:2,\nhttp://127.0.0.1:" . $t->port(8080)
                   . "/live/x.ts\n");
    create('leads', "file://$dir/secret.m3u8");
    ok($t->wait_for(sub { source('leads')->{failed} }, 30, 'it to fail'),
       'a file that leads to a server is not followed');
    unlike($t->read_file("$dir/access.log"), qr{/live/x\.ts},
           'the server was not asked');
    is(ask('DELETE', '/streams/leads')->{status}, 204, 'it is deleted');
}


# What cannot be used is left out, or is why it fails.
sub test_codecs {
    my $dir = $t->dir();
    my @make = (qw/ ffmpeg -nostdin -y -loglevel error -f lavfi -i
        testsrc2=size=160x90:rate=25 -f lavfi -i sine -t 8 /);

    $t->command(@make, qw/ -c:v libx264 -preset ultrafast -g 12 -c:a mp2 /,
                "$dir/mp2.ts");
    $t->command(@make, qw/ -c:v mpeg2video -c:a mp2 /, "$dir/mpeg2.ts");

    create('mp2', "file://$dir/mp2.ts");
    check_plays('mp2', 'sound that is not AAC', silent => 1);
    like($t->log(), qr/its sound is left out: it is mp2, and only AAC/,
         'the log says that it is left out');
    remove('mp2');

    create('mpeg2', "file://$dir/mpeg2.ts");
    ok($t->wait_for(sub { source('mpeg2')->{failed} }, 30, 'it to fail'),
       'nothing that can be used');
    is(source('mpeg2')->{error}, 'it has neither H.264 nor AAC', 'it says so');
    remove('mpeg2');
}


# A publisher stays, and whoever is pulled waits.
sub test_busy {
    my $pid = $t->ffmpeg_publish('live/busy', clip => $long, loop => -1);

    $t->wait_for(sub { playlist('busy') }, 20, 'a publisher');
    is(create('busy', "file://$clip")->{status}, 409, 'a stream that is live');
    $t->end($pid);

    create('taken', "file://$long");
    ok($t->wait_for(sub { source('taken')->{state} eq 'running' }, 20,
                    'it to run'), 'one that is pulled');

    $pid = $t->ffmpeg_publish('live/taken', clip => $long);
    ok($t->wait_for(sub { !$t->is_running($pid) }, 20, 'it to end'),
       'nobody publishes it without its key');
    is(source('taken')->{state}, 'running', 'it goes on');
    is(ask('GET', '/streams/taken')->{json}{publisher}{address}, 'unix:',
       'its publisher is a worker');

    remove('taken');
}


# What lets one in is not told.
sub test_secrets {
    my $port = $t->free_port();
    my $url = "http://user:hunter2\@127.0.0.1:$port/x.ts?token=hunter3";
    my $r = create('secret', $url);

    is($r->{json}{source}{url}, "http://127.0.0.1:$port/x.ts",
       'the answer has no secrets');
    $t->wait_for(sub { source('secret')->{failed} }, 20, 'it to fail');

    my $list = $t->get('/streams')->{body} . $t->get('/streams/secret')->{body};

    unlike($list, qr/hunter/, 'nobody is told them');
    unlike($t->log(), qr/hunter/, 'and the log has none');
    is(ask('DELETE', '/streams/secret')->{status}, 204, 'it is deleted');
}


# A server that says nothing.
sub test_silent {
    my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 9,
                                       ReuseAddr => 1);
    my $url = 'http://127.0.0.1:' . $server->sockport() . '/x.ts';

    create('silent', $url);
    ok($t->wait_for(sub { source('silent')->{state} eq 'connecting' }, 10,
                    'it to begin'), 'a server that says nothing');
    ok($t->wait_for(sub { source('silent')->{failed} }, 30, 'it to fail'),
       'is waited for so long');
    like(source('silent')->{error}, qr/nothing came for 4000 ms|timed out/i,
         'and no longer');

    $t->wait_for(sub { source('silent')->{state} eq 'connecting' }, 10,
                 'another try');

    my $begin = time();
    my $threads = threads();
    is(ask('DELETE', '/streams/silent')->{status}, 204, 'it is deleted');
    ok($t->wait_for(sub { threads() < $threads }, 3.5, 'the thread to end'),
       'and its thread ends before its time');
}


# Of all workers.
sub threads {
    my $n = 0;

    for my $pid ($t->workers()) {
        opendir my $dir, "/proc/$pid/task" or next;
        $n += grep { /\d/ } readdir $dir;
    }

    return $n;
}


sub worker_of {
    my ($name) = @_;

    my @lines = grep { /publishing begins, stream: "live\/$name"/ }
                split /\n/, $t->log();

    return @lines && $lines[-1] =~ / (\d+)#/ ? $1 : undef;
}


# Another worker goes on with it.
sub test_crash {
    create('crash', "file://$long");
    check_plays('crash', 'before the crash');

    my $pid = worker_of('crash');
    my $before = playlist('crash')->last_msn();

    $t->allow_log(qr/worker process \d+ exited on signal 9/);
    kill 'KILL', $pid;

    ok($t->wait_for(sub { (worker_of('crash') // $pid) != $pid }, 30,
                    'another worker'), 'a worker is killed, and another '
                                       . 'pulls it');
    ok($t->wait_for(sub {
        my $p = playlist('crash');
        return $p && $p->last_msn() > $before + 3;
    }, 30, 'it to go on'), 'on the same timeline');

    remove('crash');
}


# Nobody notices.
sub test_reload {
    create('reload', "file://$long");
    check_plays('reload', 'before the reload');

    my @before = $t->workers();
    my $msn = playlist('reload')->last_msn();

    $t->reload();

    ok($t->wait_for(sub { playlist('reload')->last_msn() > $msn + 6 }, 30,
                    'segments'), 'a reload, and it goes on');

    my $list = playlist('reload');

    is(scalar(grep { $_->{discontinuity} } @{ $list->{segments} }), 0,
       'without a discontinuity');
    is(source('reload')->{state}, 'running', 'it is pulled still');
    is(source('reload')->{failed}, 0, 'by whom it was');

    remove('reload');
    ok($t->wait_for(sub { my %now = map { $_ => 1 } $t->workers();
                          return !grep { kill 0, $_ } @before }, 20,
                    'the old workers to end'), 'old workers end with it');
}


# A zone has room for as many as before, and workers have no more threads.
sub test_memory {
    my $used = sub {
        my $r = $t->get('/metrics');
        return $r->{body} =~ /^live_zone_index_bytes (\S+)/m ? $1 : undef;
    };

    my $round = sub {
        my ($n) = @_;

        create("m$_", 'file:///nowhere') for 1 .. $n;
        ask('DELETE', "/streams/m$_") for 1 .. $n;
    };

    my $threads = threads();

    $round->(100);

    my $before = $used->();
    ok(defined $before, 'the index is measured');
    $round->(400);
    ok($t->wait_for(sub { $used->() <= $before }, 10, 'the memory of before'),
       'the index has what it had');
    ok($t->wait_for(sub { threads() <= $threads }, 20, 'the threads to end'),
       'and no thread is left');
}


# A worker that is told to end does, whatever it pulls; at once where nginx is.
sub test_term {
    my ($server) = @_;

    $t->stop('TERM');
    $t->run();

    create('quit', "file://$long");
    create('quiet', 'http://127.0.0.1:' . $server->sockport() . '/x.ts');
    check_plays('quit', 'before the end');

    ok($t->stop('TERM'), 'TERM ends it');
    unlike($t->log(), qr/exited on signal (?!9\b)/, 'and nothing else does');
    $t->run();
}


sub test_quit {
    my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 9,
                                       ReuseAddr => 1);

    test_term($server);

    create('quit', "file://$long");
    create('quiet', 'http://127.0.0.1:' . $server->sockport() . '/x.ts');
    check_plays('quit', 'before the end');

    $t->stop();

    like($t->log(), qr/pulling ends: nginx ends, stream: "live\/$_"/,
         "$_ ends with nginx") for qw/ quit quiet /;
}
