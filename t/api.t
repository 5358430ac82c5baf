#!/usr/bin/env perl

# The control API: streams are created, told, ended and banned by any worker,
# and every answer is what docs/openapi.json says.

# asan
# waits

use strict;
use warnings;

use JSON::PP qw/ decode_json encode_json /;
use JSON::Validator;
use Test::Live;
use Test::Live::M3U8;
use Test::More;
use Time::HiRes qw/ sleep time /;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 64m;
    segment 500ms max=1s;
    part 250ms;
    window 3s;
    resume 1h;

    application live {
        rendition source copy;
        rendition low size=160x90 video=100k preset=ultrafast audio=32k;
        rendition tiny size=96x54 video=50k preset=ultrafast audio=32k;
        transcode always;
    }

    application plain { part 0; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /live/ { live_play live; }
        location /plain/ { live_play plain; }

        location /streams {
            live_api live publish=rtmp://$host:%%PORT_1935%%/live
                          play=http://$http_host/live;
        }

        location /dir/ { live_api live; }
        location = /only { live_api live; }
        location /look { live_api live read play=/live; }
        location /plains { live_api plain; }
        location /any { live_api $arg_app; }

        rewrite ^/api/live/create$ /streams last;
    }
}
CONF

my $spec = JSON::Validator->new()
                          ->schema('file://' . $t->root()
                                   . '/docs/openapi.json')->schema();

is_deeply($spec->errors(), [], 'docs/openapi.json is valid');

my $tags = $t->clip(seconds => 6, gop => 15);

$t->run();

test_thousand();
test_create();
test_pulled();
test_fields();
test_methods();
test_life();
test_keys();
test_events();
test_qualities();
test_options();
test_stale();
test_ban();
test_pages();
test_reload();

done_testing();


# --- asking -------------------------------------------------------------------

# Asks, and has the specification look at the answer; path is one of its own,
# or undef where it says nothing of it.
sub ask {
    my ($method, $uri, $path, %option) = @_;

    my $body = $option{json} ? encode_json($option{json}) : $option{body};
    my $r = $t->get($uri, method => $method, body => $body,
                    headers => $option{headers} || {});

    $r->{json} = eval { decode_json($r->{body}) } if length $r->{body};

    return $r unless defined $path;

    my @answer = (lc $method, $path, $r->{status});
    my @errors = $spec->validate_response(\@answer, {
        body => sub { return { exists => length $r->{body} ? 1 : 0,
                               value => $r->{json},
                               content_type => 'application/json' } } });

    ok(defined $spec->parameters_for_response(\@answer),
       "$method $uri $r->{status}: the specification has it");
    is("@errors", '', "$method $uri $r->{status}: as specified")
        or diag($r->{body});
    is($r->{headers}{'cache-control'}, 'no-store', 'never cached');

    return $r;
}


sub create {
    my ($name, %field) = @_;

    return ask('POST', '/streams', '/', json => { stream_id => $name, %field });
}


sub show {
    my ($name) = @_;

    return $t->get("/streams/$name")->{status} == 200
           ? decode_json($t->get("/streams/$name")->{body}) : {};
}


sub state_of { return show($_[0])->{state} // '' }


# --- the tests ----------------------------------------------------------------

sub test_create {
    my $r = create('made');

    is($r->{status}, 201, 'a stream is created');
    like($r->{json}{key}, qr/^[0-9a-f]{32}$/, 'it has a key');
    is($r->{json}{publish}{rtmp}, 'rtmp://127.0.0.1:' . $t->port(1935)
                                  . "/live/made?key=$r->{json}{key}",
       'and where to publish it');
    is($r->{json}{playback}{hls}, 'http://127.0.0.1:' . $t->port(8080)
                                  . '/live/made/playlist.m3u8', 'and to play');
    is(create('made')->{status}, 409, 'twice: 409');

    my $told = ask('GET', '/streams/made', '/{id}');

    is($told->{json}{state}, 'created', 'it is told');
    unlike($told->{body}, qr/$r->{json}{key}/, 'but not its key');

    my $list = ask('GET', '/streams', '/');

    is($list->{json}{total}, 1, 'it is listed');
    unlike($list->{body}, qr/$r->{json}{key}/, 'without its key');
    unlike($t->log(), qr/$r->{json}{key}/, 'nor does the log have it');

    my $key = ask('POST', '/streams/made/key', '/{id}/key');

    like($key->{json}{key}, qr/^[0-9a-f]{32}$/, 'another key');
    isnt($key->{json}{key}, $r->{json}{key}, 'is another one');

    is(ask('POST', '/streams/made/heartbeat', '/{id}/heartbeat')->{json}{stale},
       0, 'no heartbeats are needed');
    is(ask('DELETE', '/streams/made', '/{id}')->{status}, 204, 'deleted');
    is(ask('GET', '/streams/made', '/{id}')->{status}, 404, 'it is gone');
    is(ask('DELETE', '/streams/made', '/{id}')->{status}, 404, 'for good');
    is(ask('POST', '/streams/made/key', '/{id}/key')->{status}, 404, 'no key');
    is(ask('POST', '/api/live/create', undef, json => { stream_id => 'renamed' })
           ->{status}, 201, 'under another name, by "rewrite"');
    is(ask('DELETE', '/streams/renamed', '/{id}')->{status}, 204, 'deleted');
}


# Every field that is wrong is named.
# What t/pull.t plays, as it is told.
sub test_pulled {
    my $url = 'http://me:secret@127.0.0.1:' . $t->free_port() . '/x.ts?key=1';
    my $r = create('pulled', source_url => $url);

    is($r->{status}, 201, 'one that is pulled is created');
    is($r->{json}{key}, undef, 'it has no key');
    is($r->{json}{source}{state}, 'waiting', 'it has a source');
    like($r->{json}{playback}{hls}, qr{/live/pulled/playlist\.m3u8$},
         'and is played where others are');

    my $source;

    ok($t->wait_for(sub {
        $source = ask('GET', '/streams/pulled', '/{id}')->{json}{source};
        return $source->{failed} > 1 && exists $source->{next_try};
    }, 20, 'two tries'), 'it is tried again');

    like($source->{error}, qr/Connection refused/, 'it is said why');
    is(ask('POST', '/streams/pulled/key', '/{id}/key')->{status}, 409,
       'no key is made');
    is(ask('DELETE', '/streams/pulled', '/{id}')->{status}, 204, 'deleted');
}


sub test_fields {
    my %wrong = (
        stream_id => [ 7, '', '.hidden', 'a/b', 'x' x 129, undef, 'ä' ],
        qualities => [ [], 'low', [ 'high' ], [ 7 ], [ ('low') x 17 ],
                       [ 'l' x 40 ] ],
        source_url => [ 7, undef, '', 'h/x', 'file:///x', 'http://a b/',
                        'http://h/' . 'x' x 1024 ],
        enable_hls => [ 1, 'true', undef ],
        enable_dash => [ 0, [] ],
        low_latency => [ {}, 'yes' ],
        heartbeat => [ 1 ],
        stale => [ 0, -1, 1e9, 1.5, '60' ],
        unknown => [ 1 ],
    );

    for my $field (sort keys %wrong) {
        for my $value (@{ $wrong{$field} }) {
            my $r = ask('POST', '/streams', '/',
                        json => { stream_id => 'wrong', $field => $value });

            is($r->{status}, 400, "$field: 400");
            is_deeply([ keys %{ $r->{json}{fields} } ], [ $field ],
                      "it is $field");
        }
    }

    my $r = ask('POST', '/streams', '/', json => { stale => 0, foo => 1 });

    is_deeply([ sort keys %{ $r->{json}{fields} } ],
              [qw/ foo stale stream_id /], 'all of them, and what is missing');

    for my $body ('', '[]', '{', '"x"', '{"stream_id":"a","stream_id":"b"}',
                  "{\"stream_id\":\"\xff\"}", '{"stream_id":"\u0000"}', 'null', '[' x 5000)
    {
        is(ask('POST', '/streams', '/', body => $body)->{status}, 400,
           'no JSON object: 400');
    }

    is(ask('POST', '/streams', '/', body => ' ' x 16385)->{status}, 413,
       'too large: 413');
    is(ask('POST', '/any?app=none', undef, json => { stream_id => 'x' })
           ->{status}, 404, 'an application that is not there: 404');
    is(ask('POST', '/plains', undef,
           json => { stream_id => 'x', low_latency => JSON::PP::true })
           ->{json}{fields}{low_latency}, 'is off for the application ("part '
           . '0")', 'low latency where there is none');
    is(ask('GET', '/streams', '/')->{json}{total}, 0, 'none of them is there');
}


sub test_methods {
    my @cases = (
        [ 'PUT', '/streams', 405 ], [ 'DELETE', '/streams', 405 ],
        [ 'POST', '/streams/x', 405 ], [ 'PUT', '/streams/x', 405 ],
        [ 'GET', '/streams/x/key', 405 ],
        [ 'GET', '/streams/x/heartbeat', 405 ],
        [ 'DELETE', '/streams/x/key', 405 ],
        [ 'POST', '/streams/x/none', 404 ], [ 'GET', '/streams/x/none', 404 ],
        [ 'GET', '/streams/x/y/z', 404 ], [ 'GET', '/streams/..x', 404 ],
        [ 'GET', '/streamsx', 404 ], [ 'GET', '/streams/', 200 ],
        [ 'GET', '/dir/', 200 ], [ 'GET', '/dir/none', 404 ],
        [ 'GET', '/only', 200 ],
        [ 'GET', '/look', 200 ], [ 'POST', '/look', 405 ],
        [ 'DELETE', '/look/x', 405 ], [ 'POST', '/look/x/key', 405 ],
        [ 'GET', '/streams?limit=0', 400 ], [ 'GET', '/streams?limit=x', 400 ],
        [ 'GET', '/streams?limit=1001', 400 ],
        [ 'GET', '/streams?offset=-1', 400 ],
        [ 'GET', '/streams?state=dead', 400 ],
        [ 'DELETE', '/streams/x?ban=soon', 400 ],
        [ 'DELETE', '/streams/x?ban=2y', 400 ],
    );

    for my $case (@cases) {
        my ($method, $uri, $status) = @$case;
        my $r = ask($method, $uri, undef);

        is($r->{status}, $status, "$method $uri: $status");
        ok(defined $r->{json}{error}, 'an error in JSON') if $status >= 400;
        ok(defined $r->{headers}{allow}, 'what is allowed') if $status == 405;
    }

    my $r = ask('POST', '/streams', '/', json => { stream_id => 'foreign' },
                headers => { Origin => 'http://elsewhere.example' });

    is($r->{status}, 403, 'a page of another origin creates nothing');

    $r = ask('POST', '/streams', '/', json => { stream_id => 'own' },
             headers => { Origin => 'http://127.0.0.1:' . $t->port(8080) });

    is($r->{status}, 201, 'one of its own does');
    is(ask('DELETE', '/streams/own', '/{id}')->{status}, 204, 'deleted');
    is(ask('OPTIONS', '/streams', undef)->{headers}{'access-control-allow-'
           . 'methods'}, 'GET, HEAD, OPTIONS', 'preflight: reading alone');
}


# From its creation to its end, with a real encoder.
sub test_life {
    my $key = create('cam', heartbeat => JSON::PP::true, stale => 100)
                  ->{json}{key};
    my $pid = $t->ffmpeg_publish("live/cam?key=$key", clip => $tags, loop => -1);

    ok($t->wait_for(sub { (show('cam')->{renditions}[0]{segments} // 0) >= 3 },
                    20, 'segments'), 'it is published');

    my $r = ask('GET', '/streams/cam', '/{id}')->{json};

    is($r->{state}, 'live', 'live');
    ok($r->{created}, 'by this API');
    cmp_ok($r->{heartbeat}{left}, '<=', 100, 'heartbeats are counted');
    cmp_ok($r->{bitrate}, '>', 10_000, 'its bit rate');
    cmp_ok($r->{timeline}{media_sequence}, '>=', 3, 'its timeline');
    cmp_ok(abs($r->{timeline}{part_target} - 0.3), '<', 0.06, 'its parts');
    is_deeply([ sort map { $_->{name} } grep { !$_->{rung} && $_->{source} }
                     @{ $r->{renditions} } ], [qw/ audio source /],
              'its source');
    is(create('cam')->{status}, 409, 'it cannot be created again');

    is(ask('GET', '/streams?state=live', '/')->{json}{total}, 1, 'listed: live');
    is(ask('GET', '/streams?state=away', '/')->{json}{total}, 0, 'not away');

    my ($source) = grep { $_->{name} eq 'source' } @{ $r->{renditions} };

    cmp_ok($source->{frames}, '>=', 30, 'frames of its source');
    cmp_ok(abs($source->{key_frame_interval} - 0.5), '<', 0.01,
           'their key frames');
    is($r->{publisher}{address}, '127.0.0.1', 'where they come from');
    ok($t->wait_for(sub { ask('GET', '/streams/cam/viewers', '/{id}/viewers')
                          ->{json}{viewers} == 1 }, 15, 'a viewer'),
       'its viewers') if $t->get('/live/cam/source/playlist.m3u8');

    unlike($t->log(), qr/$key/, 'the log does not have its key');
    test_stop($pid, $key);
    $pid = $t->ffmpeg_publish("live/cam?key=$key", clip => $tags, loop => -1);
    $t->wait_for(sub { state_of('cam') eq 'live' }, 15, 'it');
    is(ask('DELETE', '/streams/cam', '/{id}')->{status}, 204, 'it is ended');
    ok($t->wait_for(sub { !$t->is_running($pid) }, 15, 'the encoder to stop'),
       'its encoder is told');
    ok($t->wait_for(sub { state_of('cam') eq 'ended' }, 15, 'the end'),
       'it ends, and is not away for the time of "resume"');
    like($t->get('/live/cam/source/playlist.m3u8')->{body}, qr/EXT-X-ENDLIST/,
         'players are told (HLS-14)');
    like($t->log(), qr/publishing ends: the stream was ended by the control/,
         'the log says who did it');
    like($t->log(), qr/published for \d+\.\d{3}s: \d{5,} bytes, \d{2,} frames /,
         'and the totals');
    like($t->log(), qr/of video, \d{2,} of audio, 0 dropped, 0 disc.* "live\/cam"/,
         'of all that came');
    is(ask('GET', '/streams/cam', '/{id}')->{json}{created}, JSON::PP::false,
       'it is not created any more');
}


# What happens to a stream, while it happens.
sub test_events {
    my $key = create('told')->{json}{key};
    my $file = 'events';
    my $pid = $t->spawn({ stdout => $file }, qw/ curl -sN /, 'http://127.0.0.1:'
                        . $t->port(8080) . '/streams/told/events');
    my $told = sub {
        my ($event) = @_;

        my @data = ($t->read_file($file) // '')
                   =~ /^event: $event\ndata: (\{.*\})\n\n/mg;

        return map { decode_json($_) } @data;
    };

    ok($t->wait_for(sub { $told->('state') }, 10, 'events'), 'events begin');
    is(($told->('state'))[0]{state}, 'created', 'with its state');

    my $encoder = $t->ffmpeg_publish("live/told?key=$key", clip => $tags,
                                     loop => -1);

    ok($t->wait_for(sub { $told->('publish') && $told->('part') }, 20, 'both'),
       'publish, and the first part');
    ok(!$told->('discontinuity'), 'no discontinuity yet');

    $t->end($encoder);
    ok($t->wait_for(sub { $told->('away') }, 10, 'away'), 'away');

    $encoder = $t->ffmpeg_publish("live/told?key=$key", clip => $tags,
                                  loop => -1);

    ok($t->wait_for(sub { $told->('publish') == 2 && $told->('part') == 2
                          && $told->('discontinuity') }, 20, 'another'),
       'it is published again, with a discontinuity');
    ok(!$told->('end'), 'it has not ended');

    ask('DELETE', '/streams/told', '/{id}');
    ok($t->wait_for(sub { $told->('end') }, 15, 'the end'), 'the end');
    is(scalar(my @publish = $told->('publish')), 2, 'each one is told once');
    ok($t->is_running($pid), 'events go on');
    is(ask('GET', '/streams/none/events', '/{id}/events')->{status}, 404,
       'of no stream: 404');

    $t->reload();
    ok($t->wait_for(sub { !$t->is_running($pid) }, 15, 'their end'),
       'the worker of before a reload ends them in order');
    is($t->wait_exit($pid, 1), 0, 'without an error');
}


# It stays created, and is not published.
sub test_stop {
    my ($pid, $key) = @_;

    is(ask('POST', '/streams/none/stop', '/{id}/stop')->{status}, 404, 'none');
    ok(ask('POST', '/streams/cam/stop', '/{id}/stop')->{json}{stopped},
       'it is stopped');
    ok($t->wait_for(sub { !$t->is_running($pid) }, 15, 'the encoder to stop'),
       'its encoder is told');

    $pid = $t->ffmpeg_publish("live/cam?key=$key", clip => $tags, loop => -1);

    ok($t->wait_for(sub { !$t->is_running($pid) }, 15, 'the encoder to stop'),
       'nor does it come again');
    is(ask('POST', '/streams/cam/start', '/{id}/start')->{json}{stopped},
       JSON::PP::false, 'until it is started');
}


# Who publishes what was created has its key.
sub test_keys {
    my $old = create('keyed')->{json}{key};
    my %refused = ('keyed' => qr/was created with a key/,
                   'keyed?key=' => qr/was created with a key/,
                   'keyed?key=wrong' => qr/key is not valid/,
                   "keyed?key=${old}0" => qr/key is not valid/);

    for my $name (sort keys %refused) {
        my $mark = length $t->log();
        my $pid = $t->ffmpeg_publish("live/$name", clip => $tags);

        ok($t->wait_for(sub { !$t->is_running($pid) }, 15, 'the encoder'),
           "$name: refused");
        like(substr($t->log(), $mark), qr/"keyed" refused: .*$refused{$name}/,
             'the log says why');
    }

    is(state_of('keyed'), 'created', 'nothing was published');

    my $new = ask('POST', '/streams/keyed/key', '/{id}/key')->{json}{key};
    my $pid = $t->ffmpeg_publish("live/keyed?key=$old", clip => $tags);

    ok($t->wait_for(sub { !$t->is_running($pid) }, 15, 'the encoder'),
       'a key of before is refused');

    $pid = $t->ffmpeg_publish("live/keyed?key=$new", clip => $tags, loop => -1);
    ok($t->wait_for(sub { state_of('keyed') eq 'live' }, 15, 'it'),
       'the new one is right');
    unlike($t->log() . $t->get('/streams/keyed')->{body}
           . $t->get('/streams')->{body}, qr/$old|$new/, 'keys are not shown');

    $t->end($pid);
    is(ask('DELETE', '/streams/keyed', '/{id}')->{status}, 204, 'deleted');
}


# A stream has the rungs that it was created with.
sub test_qualities {
    my %key = (few => create('few', qualities => [qw/ source tiny /])
                          ->{json}{key},
               one => create('one', qualities => [qw/ low /])->{json}{key},
               all => 'none');
    my @pids = map { $t->ffmpeg_publish("live/$_?key=$key{$_}", clip => $tags,
                                        loop => -1) } sort keys %key;
    my %expect = (few => [qw/ source tiny /], one => [qw/ low /],
                  all => [qw/ low source tiny /]);

    for my $name (sort keys %expect) {
        my @names;

        $t->wait_for(sub {
            my $r = $t->get("/live/$name/playlist.m3u8");

            @names = sort map { $_->{uri} =~ m{^(.*)/playlist} }
                          @{ Test::Live::M3U8->parse($r->{body})->{variants}
                             || [] } if $r->{status} == 200;

            return @names == @{ $expect{$name} };
        }, 20, "renditions of $name");

        is_deeply(\@names, $expect{$name}, "$name: @names");
    }

    $t->end($_) for @pids;
    ask('DELETE', "/streams/$_", '/{id}') for qw/ few one all /;
    $t->wait_for(sub { state_of('all') eq 'ended' && state_of('few') eq 'ended'
                       && state_of('one') eq 'ended' }, 15, 'the end');
}


sub test_options {
    my @keys = map { $_->{json}{key} }
               create('nohls', enable_hls => JSON::PP::false),
               create('nodash', enable_dash => JSON::PP::false,
                      low_latency => JSON::PP::false);

    is_deeply([ sort keys %{ show('nohls')->{playback} } ],
              [qw/ dash thumbnail /], 'no URL of HLS');
    is_deeply([ sort keys %{ show('nodash')->{playback} } ],
              [qw/ hls thumbnail ts /], 'no URL of DASH');

    # the key in the place of the name
    my @pids = map { $t->ffmpeg_publish("live/$_", clip => $tags, loop => -1) }
               @keys;

    ok($t->wait_for(sub {
           $t->get('/live/nohls/manifest.mpd')->{status} == 200
           && $t->get('/live/nodash/source/playlist.m3u8')->{status} == 200
       }, 20, 'both'), 'DASH without HLS, and HLS without DASH');

    is($t->get("/live/nohls/$_")->{status}, 404, "no $_")
        for qw{ playlist.m3u8 source/playlist.m3u8 ts/playlist.m3u8 };
    is($t->get('/live/nodash/manifest.mpd')->{status}, 404, 'no manifest');
    unlike($t->get('/live/nodash/source/playlist.m3u8')->{body},
           qr/EXT-X-PART/, 'no parts');
    unlike($t->get('/live/nohls/manifest.mpd')->{body}, qr/m3u8/, 'DASH');

    $t->end($_) for @pids;
    ask('DELETE', "/streams/$_", '/{id}') for qw/ nohls nodash /;
}


# Nobody cares for it any more.
sub test_stale {
    my $key = create('stale', heartbeat => JSON::PP::true, stale => 2)
                  ->{json}{key};
    my $pid = $t->ffmpeg_publish("live/stale?key=$key", clip => $tags,
                                 loop => -1);
    my $end = time() + 4;

    $t->wait_for(sub { state_of('stale') eq 'live' }, 20, 'it is live');

    while (time() < $end) {
        is(ask('POST', '/streams/stale/heartbeat', '/{id}/heartbeat')->{status},
           200, 'a heartbeat');
        sleep 0.5;
    }

    ok($t->is_running($pid), 'heartbeats keep it');
    ok($t->wait_for(sub { !$t->is_running($pid) }, 15, 'the encoder to stop'),
       'without them it ends');
    ok($t->wait_for(sub { state_of('stale') eq 'ended' }, 10, 'the end'),
       'and is deleted');
    is(ask('POST', '/streams/stale/heartbeat', '/{id}/heartbeat')->{status},
       404, 'one that comes too late: 404');
    like($t->log(), qr{stream "live/stale" is deleted: no heartbeat for 2s},
         'the log says why');
}


sub test_ban {
    my $pid = $t->ffmpeg_publish('live/bad', clip => $tags, loop => -1);

    $t->wait_for(sub { state_of('bad') eq 'live' }, 20, 'it is live');
    is(ask('DELETE', '/streams/bad?ban=5s', '/{id}')->{status}, 204, 'banned');

    my $end = time() + 5;

    ok($t->wait_for(sub { !$t->is_running($pid) }, 15, 'the encoder to stop'),
       'it is sent away');
    is(create('bad')->{status}, 409, 'it cannot be created meanwhile');

    $pid = $t->ffmpeg_publish('live/bad', clip => $tags, loop => -1);

    ok($t->wait_for(sub { !$t->is_running($pid) }, 15, 'the encoder to stop'),
       'nor can it be published');
    like($t->log(), qr/publishing "bad" refused: .* banned/, 'so says the log');

    ok($t->wait_for(sub {
           return 1 if state_of('bad') eq 'live';
           $pid = $t->ffmpeg_publish('live/bad', clip => $tags, loop => -1)
               unless $t->is_running($pid);
           return 0;
       }, 20, 'the ban to end'), 'later it can');
    cmp_ok(time(), '>=', $end - 1, 'not before the ban is over');

    $t->end($pid);
    is(ask('DELETE', '/streams/new?ban=1s', '/{id}')->{status}, 404,
       'a name that there is no stream of can be banned, too');
    is(create('new')->{status}, 409, 'it is');
    ask('DELETE', '/streams/bad', '/{id}');
}


# All of them come once, whatever the size of the pages.
sub test_pages {
    my %expect = map { $_ => 1 } map { "page$_" } 1 .. 25;

    create($_) for sort keys %expect;

    my (%seen, $total);

    for (my $offset = 0; !defined $total || $offset < $total; $offset += 7) {
        my $r = ask('GET', "/streams?state=created&limit=7&offset=$offset",
                    '/')->{json};

        $total = $r->{total};
        $seen{$_->{name}}++ for @{ $r->{streams} };
    }

    is($total, 25, 'pages: the total');
    is_deeply(\%seen, \%expect, 'each one once');
    ask('DELETE', "/streams/$_", '/{id}') for sort keys %expect;
}


sub test_reload {
    my $key = create('stays')->{json}{key};

    $t->reload();

    is(show('stays')->{state}, 'created', 'a reload keeps what was created');
    isnt($key, undef, 'and its key');

    my $conf = $t->read_file('nginx.conf');

    $conf =~ s/^    application plain \{ part 0; \}$//m;
    $conf =~ s/^.*live_(?:api|play) plain;.*$//mg;

    is(ask('POST', '/plains', undef, json => { stream_id => 'gone' })->{status},
       201, 'one of an application');

    $t->write_file('nginx.conf', $conf);
    $t->reload();

    ok($t->wait_for(sub { !grep { $_->{name} eq 'gone' } @{
           decode_json($t->get('/any?app=plain')->{body})->{streams} } }, 10,
           'it to go'), 'that is no more: it goes as well');
    is(ask('DELETE', '/streams/stays', '/{id}')->{status}, 204, 'deleted');
}


# What is deleted leaves nothing behind.
sub test_thousand {
    my $full;

    for my $round (1 .. 3) {
        is(scalar(grep { $t->get('/streams', method => 'POST',
                                 body => qq({"stream_id":"many$_"}))->{status}
                         == 201 } 1 .. 1000), 1000, '1,000 are created');

        my $r = decode_json($t->get('/streams?limit=1000&state=created')
                            ->{body});

        is(scalar @{ $r->{streams} }, 1000, 'and listed at once');
        is(scalar(grep { $t->get("/streams/many$_", method => 'DELETE')
                         ->{status} == 204 } 1 .. 1000), 1000, 'and deleted');

        my $pages = 0;

        $pages += ($t->read_file("/proc/$_/smaps_rollup")
                   =~ /^Pss_Shmem:\s+(\d+)/m)[0] for $t->workers(),
                                                     $t->master();
        $full //= $pages;
        cmp_ok($pages, '<=', $full + 64, 'memory of the zone is used again');
    }
}
