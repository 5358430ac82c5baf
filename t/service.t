#!/usr/bin/env perl

# examples/service.conf and examples/client.py: a program creates a stream, an
# encoder publishes it where it is told, players and a CDN find it, and it is
# stopped.
#
# waits

use strict;
use warnings;

use JSON::PP qw/ decode_json encode_json /;
use Test::Live;
use Test::Live::M3U8;
use Test::More;

my $t = Test::Live->new();

my %environment = (SEGMENT_DURATION => 1, PLAYLIST_SIZE => 5,
                   LOW_LATENCY_HLS => 'on', STALE_THRESHOLD => 3,
                   CLEANUP_INTERVAL => 1);

my $conf = $t->read_file($t->root() . '/examples/service.conf');

$conf =~ s/\$\{([A-Z_]+)\}/$environment{$1} \/\/ die "nothing for $1"/ge;
$conf =~ s/^(?:load_module|error_log|pid|\s*access_log) .*$//mg;
$conf =~ s/listen 1935;/listen 127.0.0.1:%%PORT_1935%%;/;
$conf =~ s/listen (8\d+);/listen 127.0.0.1:%%PORT_$1%%;/g;
$conf =~ s{rtmp://\$host/}{rtmp://\$host:%%PORT_1935%%/};
$conf =~ s{http://\$host:8080/}{http://\$host:%%PORT_8080%%/};
$conf =~ s/zone 1g/zone 64m/;
$conf =~ s/worker_processes auto/worker_processes 2/;
$conf =~ s/^http \{/http {\n%%TEST_GLOBALS_HTTP%%/m;

$t->write_file_expand('nginx.conf', "%%TEST_GLOBALS%%\n$conf");

my $api = 'http://127.0.0.1:' . $t->port(8083);
my $tags = $t->clip(seconds => 6, gop => 15);

$t->run();

test_client();
test_pull();
test_names();
test_ports();
test_stale();

done_testing();


sub client {
    my ($code, $output) = $t->command('env', "LIVE_API=$api",
        $t->root() . '/examples/client.py', @_);

    return ($code, $output);
}


sub api {
    my ($method, $uri, $json) = @_;

    my $r = $t->get($uri, port => $t->port(8083), method => $method,
                    $json ? (body => encode_json($json)) : ());

    $r->{json} = eval { decode_json($r->{body}) };

    return $r;
}


sub state_of {
    return api('GET', "/streams/$_[0]")->{json}{state} // '';
}


sub test_client {
    my ($code, $output) = client('create', 'cam', 'source', '360p');

    is($code, 0, 'client.py create');

    my ($publish) = $output =~ /^publish (\S+)$/m;
    my ($hls) = $output =~ m{^play hls http://127\.0\.0\.1:\d+(\S+)$}m;

    isnt($publish, undef, 'it says where to publish') or diag($output);
    is($hls, '/streams/cam/playlist.m3u8', 'and where to play');
    isnt((client('create', 'cam'))[0], 0, 'twice is an error');
    is((client('list'))[1], "cam created\n", 'client.py list');

    my $pid = $t->ffmpeg_publish($publish, clip => $tags, loop => -1);

    ok($t->wait_for(sub { $t->get($hls)->{status} == 200 }, 20, 'a playlist'),
       'it is played where it says');

    my $p = Test::Live::M3U8->parse($t->get($hls)->{body});

    is_deeply($p->{errors}, [], 'a playlist as it should be');
    ok($t->wait_for(sub { @{ media('/streams/cam')->{segments} || [] } >= 5 },
                    20, 'segments'), 'PLAYLIST_SIZE segments');

    $p = media('/streams/cam');

    ok(defined $p->{part_target}, 'LOW_LATENCY_HLS');
    cmp_ok(abs($p->{segments}[-1]{duration} - 1), '<', 0.1, 'SEGMENT_DURATION');
    is($t->get('/streams/cam/manifest.mpd')->{status}, 200, 'DASH');

    my $cdn = $t->get('/cam/source/playlist.m3u8', port => $t->port(8084));

    is($cdn->{status}, 200, 'the origin of the CDN has it as well');

    my $monitor = $t->spawn({ stdout => 'monitor',
                              env => { LIVE_API => $api } },
                            $t->root() . '/examples/client.py', 'monitor',
                            'cam');

    ok($t->wait_for(sub { ($t->read_file('monitor') // '') =~ /^live \d+ s/m },
                    10, 'the monitor'), 'client.py monitor');
    is((client('stop', 'cam'))[0], 0, 'client.py stop');
    is($t->wait_exit($monitor, 20), 0, 'the monitor ends with the stream');
    like($t->read_file('monitor'), qr/^ended /m, 'and says so');
    ok($t->wait_for(sub { !$t->is_running($pid) }, 15, 'the encoder to stop'),
       'the encoder is told');
    isnt((client())[0], 0, 'without arguments: how to use it');
}


sub media {
    my ($base) = @_;

    my $r = $t->get("$base/source/playlist.m3u8");

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : {};
}


# The API under other names.
# A stream that the service fetches itself.
sub test_pull {
    my ($code, $output) = client('pull', 'clip', "file://$tags", 'source');

    is($code, 0, 'client.py pull');
    unlike($output, qr/^publish/m, 'nobody has to publish it');
    like($output, qr{^play dash http://\S+/streams/clip/manifest\.mpd$}m,
         'it says where to play');
    ok($t->wait_for(sub { @{ media('/streams/clip')->{segments} || [] } >= 3 },
                    20, 'segments'), 'and it plays');
    is((client('stop', 'clip'))[0], 0, 'client.py stop');
}


sub test_names {
    my $r = api('POST', '/api/live/create', { stream_id => 'other' });

    is($r->{status}, 201, 'create');

    my $pid = $t->ffmpeg_publish($r->{json}{publish}{rtmp}, clip => $tags,
                                 loop => -1);

    ok($t->wait_for(sub { (api('GET', '/api/live/other/status')->{json}{state}
                           // '') eq 'live' }, 20, 'it'), 'status');
    $t->get('/streams/other/source/playlist.m3u8');
    ok($t->wait_for(sub { (api('GET', '/api/live/other/viewers')
                           ->{json}{viewers} // 0) == 1 }, 15, 'a viewer'),
       'viewers');
    is(api('POST', '/api/live/other/stop')->{status}, 200, 'stop');
    ok($t->wait_for(sub { state_of('other') eq 'ended' }, 15, 'the end'),
       'it stops');
    is(api('POST', '/api/live/other/start')->{status}, 200, 'start');

    $t->end($pid) if $t->is_running($pid);
    $pid = $t->ffmpeg_publish($r->{json}{publish}{rtmp}, clip => $tags,
                              loop => -1);
    ok($t->wait_for(sub { state_of('other') eq 'live' }, 20, 'it'),
       'it may be published again');
    $t->end($pid);
    is(api('DELETE', '/streams/other')->{status}, 204, 'deleted');
}


# What is for operators is on one port.
sub test_ports {
    is(api('GET', '/metrics')->{status}, 200, 'metrics');
    is(api('GET', '/status')->{status}, 200, 'status');
    is(api('GET', '/status.json')->{json}{server}{workers}, 2, 'as JSON');
    is(api('GET', '/api/live/none')->{status}, 404, 'no such name');

    for my $port (8080, 8084) {
        for my $uri (qw{ /streams /metrics /status /status.json
                         /api/live/create })
        {
            my $r = $t->get($uri, port => $t->port($port));

            is($r->{status}, 404, "$uri on $port: 404");
        }

        isnt($t->get('/streams', port => $t->port($port), method => 'POST',
                     body => '{"stream_id":"x"}')->{status}, 201,
             "$port creates nothing");
    }
}


sub test_stale {
    is(api('POST', '/streams', { stream_id => 'stale',
                                 heartbeat => JSON::PP::true })->{json}{stale},
       3, 'STALE_THRESHOLD');
    is(api('POST', '/api/live/stale/heartbeat')->{status}, 200, 'a heartbeat');
    ok($t->wait_for(sub { state_of('stale') eq '' }, 15, 'it to go'),
       'without another one it is deleted');
}
