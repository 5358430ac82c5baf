#!/usr/bin/env perl

# live_metrics: what promtool says of it, what a Prometheus that scrapes it
# answers, and whether the figures are those of what was published and played,
# from whatever worker they are asked for, and over a reload.

# asan
# waits

use strict;
use warnings;

use JSON::PP;
use Test::Live;
use Test::Live::Feed;
use Test::Live::M3U8;
use Test::Live::Metrics;
use Test::Live::RTMP;
use Test::Live::Steps;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 96m;
    segment 1s max=3s;
    part 500ms;
    window 10s;
    resume 1h;

    application live { }
    application plain { part 0; }
    application brief { resume 0; }

    application ladder {
        rendition source copy;
        rendition tiny size=64x36 video=50k preset=ultrafast;
        transcode always;
    }

    application "q\"<\\" { }
}

stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }

http {
    %%TEST_GLOBALS_HTTP%%
    add_header X-Worker $pid always;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /plain/ { live_play plain; }
        location /brief/ { live_play brief; }
        location /page/ { live_play live; error_page 404 /gone; }
        location = /gone { return 200 "gone\n"; }
        location = /metrics { live_metrics; }
        location = /few { live_metrics streams=2; }
    }
}
CONF

my $tags = Test::Live::RTMP::flv_tags(
    $t->clip(seconds => 6, gop => 30, fps => 30));

my ($sent, %played, @waiting) = (0);

$t->run();

empty();

my $prometheus = prometheus();
my $first = publish('live/a', 8, sub { play('/live/a') });

answers();
published($first);
requests();
histograms();
others();
names();
cardinality();
scraped($first);
reload();
ladder();

done_testing();


# --- publishers and players ---------------------------------------------------

# In real time; the sub is called once in a while.  { video, audio, octets }:
# what was sent of each.
sub publish {
    my ($url, $seconds, $meanwhile) = @_;

    my ($app, $name) = split m{/}, $url;
    my $client = Test::Live::RTMP->start(port => $t->port(1935), app => $app,
                                         name => $name);
    my $feed = Test::Live::Feed->new($client, $tags);
    my $calls = 0;

    Test::Live::Feed::run($seconds, sub {
        $meanwhile->() if ++$calls % 20 == 0;
        return 0;
    }, $feed);

    my $media = $feed->{tags};
    my $loops = $feed->{add} / $feed->{length};
    my @sent = ((@$media) x $loops, @$media[0 .. $feed->{next} - 1]);

    # headers and ends of sequences are no frames
    my @frames = grep { unpack('x C', $_->{payload}) == 1 } @sent;

    $client->stop($name);

    my %sum = (video => 0, audio => 0, bytes => 0, videos => 0);

    for (@frames) {
        my $video = $_->{type} == 9;

        $sum{$video ? 'video' : 'audio'}++;
        $sum{videos} += length($_->{payload}) - 5 if $video;
    }

    $sum{bytes} += length $_->{payload} for @sent;

    return \%sum;
}


# A look at everything, whose answers are remembered.
sub play {
    my ($stream) = @_;

    fetch("$stream/playlist.m3u8", 'multivariant') or return;
    fetch("$stream/manifest.mpd", 'manifest');

    # refused, and answered by an error_page
    fetch($stream =~ s{^/live}{/page}r . '/none/playlist.m3u8', 'playlist');

    my $r = fetch("$stream/source/playlist.m3u8", 'playlist') or return;
    my $p = Test::Live::M3U8->parse($r->{body});
    my $segment = $p->{segments}[-1] or return;

    fetch("$stream/source/$segment->{uri}", 'segment');
    fetch("$stream/source/nothing-at-all.m4s", undef);

    # the publisher has to go on before this is answered

    my $msn = $p->{sequence} + @{ $p->{segments} };

    push @waiting, ask($t, "$stream/source/playlist.m3u8?_HLS_msn=$msn"
                           . '&_HLS_part=0');
}


# Takes the answers that have come meanwhile.
sub answers {
    my %status;

    for my $q (@waiting) {
        my $r = answer($q);

        $played{playlist}++;
        $sent += length $r->{raw};
        $status{ $r->{status} }++;
    }

    is_deeply([ keys %status ], [ 200 ], 'requests that waited were answered');
}


sub fetch {
    my ($path, $kind) = @_;

    my $r = $t->get($path);

    # what is no URI of ours is of no stream
    if (defined $kind) {
        $played{$kind}++;
        $sent += length $r->{raw};
    }

    return $r->{status} == 200 ? $r : undef;
}


# --- looking ------------------------------------------------------------------

sub metrics { return Test::Live::Metrics->get($t, $_[0] || '/metrics') }


# The metric has that value within a few seconds, on whatever worker.
sub becomes {
    my ($name, $labels, $value, $what) = @_;

    my $got;

    $t->poll(sub {
        for (1 .. 4) {
            $got = metrics()->value($name, %$labels);
            return 0 unless defined $got && $got == $value;
        }

        return 1;
    }, 10);

    is($got, $value, $what);
}


# More than there was, or than nothing.
sub becomes_more {
    my ($name, $labels, $what) = @_;

    my $got;
    my $first = metrics()->value($name, %$labels) // 0;

    ok($t->poll(sub {
           $got = metrics()->value($name, %$labels) // 0;
           return $got > $first;
       }, 10), $what) or diag("$name: $first, $got");
}


sub empty {
    my $m = metrics();

    is($m->{type}, 'text/plain; version=0.0.4; charset=utf-8',
       'the content type');
    is($m->promtool(), '', 'promtool has nothing to say of no streams');
    is_deeply($m->{errors}, [], 'well-formed');
    is($m->value('streaming_active_streams'), 0, 'no stream is active');
    is($m->value('live_workers'), 2, 'two workers');

    is($t->get('/metrics', method => 'POST')->{status}, 405, 'POST: 405');
    is($t->get('/metrics')->{headers}{'cache-control'}, 'no-store',
       'not to be stored');
}


sub published {
    my ($sum) = @_;

    my %a = (application => 'live', stream => 'a');
    my %video = (%a, rendition => 'source', media => 'video');
    my %audio = (%a, rendition => 'audio', media => 'audio');

    becomes('live_track_frames_total', \%video, $sum->{video},
            'all frames of video that were sent');
    becomes('live_track_bytes_total', \%video, $sum->{videos},
            'all their bytes');
    becomes('live_stream_up', \%a, 0, 'its publisher has gone');

    my $m = metrics();

    is($m->promtool(), '', 'promtool has nothing to say');
    is_deeply($m->{errors}, [], 'well-formed, no series twice');

    # those before the first picture have no place
    my $most = $m->value('live_track_frames_total', %audio)
               + $m->value('live_stream_dropped_frames_total', %a);

    ok($most <= $sum->{audio} && $most >= $sum->{audio} - 5,
       'all frames of audio were published or dropped')
        or diag("$most of $sum->{audio}");

    my $received = $m->value('live_stream_received_bytes_total', %a);

    cmp_ok($received, '>=', $sum->{bytes}, 'bytes that came: the payloads');
    cmp_ok($received, '<=', $sum->{bytes} * 1.05, 'and little more');
    becomes('live_zone_received_bytes_total', {}, $received,
            'and of all streams');

    is($m->value('live_track_key_frame_interval_seconds', %video), 1,
       'the interval of key frames');
    is($m->value('live_track_key_frame_interval_max_seconds', %video), 1,
       'the longest one');
    is($m->value('live_track_segment_seconds', %video) <= 1
       && $m->value('live_track_segment_max_seconds', %video), 1,
       'segments of a second');
    is($m->value('live_track_part_max_seconds', %video), 0.5,
       'parts of half a second');
    is($m->value('live_track_segments_total', %video),
       int(($sum->{video} + 29) / 30), 'as many segments as key frames');
    is($m->value('live_track_key_frames_total', %video),
       $m->value('live_track_segments_total', %video), 'which are counted');
    is($m->value('live_stream_publications_total', %a), 1, 'one publication');
    is($m->value('live_stream_discontinuities_total', %a), 0,
       'without an interruption');
    cmp_ok($m->value('live_stream_memory_bytes', %a), '>', $sum->{videos} / 2,
           'it takes memory');
    cmp_ok($m->value('live_zone_media_bytes'), '>=',
           $m->value('live_stream_memory_bytes', %a), 'of the zone');
    cmp_ok($m->value('live_track_memory_bytes', %video), '>',
           $sum->{videos} / 2, 'most of it that of video');
    cmp_ok($m->value('live_stream_memory_bytes', %a), '>=',
           $m->value('live_track_memory_bytes', %video)
           + $m->value('live_track_memory_bytes', %audio), 'both of them');
    cmp_ok($m->value('live_zone_media_bytes')
           + $m->value('live_zone_media_free_bytes'), '<=', 96 * 1048576,
           'which has a size');
    cmp_ok($m->value("live_zone_${_}_bytes"), '>', 0, "$_ bytes")
        for qw/ media_free index index_free /;
    is($m->value('live_zone_evicted_bytes_total'), 0, 'nothing was given up');
    is($m->value('live_track_gaps_total', %video), 0, 'no gap');
    is($m->value('live_track_paused', %video), 0, 'nor pause');
    cmp_ok($m->value('live_track_part_seconds', %video), '>', 0, 'a last part');
    is($m->value('live_stream_uptime_seconds', %a), 0, 'it is not there');
    becomes_more('live_stream_idle_seconds', \%a, 'for some time');

    # of the last ten seconds, of which the publisher was there for up to eight

    my $rate = $m->value('live_track_frames_per_second', %video);

    cmp_ok($rate, '>', 2, "its frame rate was measured: $rate");
    cmp_ok($rate, '<', 40, 'and is not too high');
    cmp_ok($m->value('live_stream_received_average_bytes_per_second', %a),
           '>', $sum->{bytes} / 100, 'and its bit rate');

    my ($info) = grep { $_->{labels}{rendition} eq 'source' }
                 $m->all('live_track_info');

    like($info->{labels}{codec}, qr/^avc1\.[0-9a-f]{6}$/, 'the codec');
    cmp_ok($info->{labels}{width}, '>', 0, 'the size of the picture');
}


sub requests {
    my %a = (application => 'live', stream => 'a');

    becomes('live_stream_sent_bytes_total', \%a, $sent,
            'bytes sent are those that were received');

    for my $kind (sort keys %played) {
        becomes('live_requests_total', { %a, object => $kind },
                $played{$kind}, "requests: $kind");
    }

    my $m = metrics();
    my $responses = 0;

    $responses += $_->{value} for grep { $_->{labels}{stream} eq 'a' }
                                  $m->all('live_responses_total');

    my $requests = 0;

    $requests += $_ for values %played;

    is($responses, $requests, 'each response is of one class');
    cmp_ok($m->value('live_responses_total', %a, class => 'blocking'), '>', 0,
           'some were blocking');
    cmp_ok($m->value('live_stream_blocked_requests_total', %a), '>', 0,
           'and were held');
    cmp_ok($m->value('live_stream_blocked_seconds_total', %a), '>', 0,
           'for some time');
    is($m->value('live_held_requests'), 0, 'none is held now');
    is($m->value('live_zone_blocked_requests_total'),
       $m->value('live_stream_blocked_requests_total', %a), 'of all streams');
    # and refusals of what is of no stream
    cmp_ok($m->value('live_zone_sent_bytes_total'), '>', $sent, 'bytes of all');
    cmp_ok($m->value('live_zone_sent_bytes_total'), '<', $sent * 1.1,
           'and no others');
    cmp_ok($m->value('live_stream_sent_average_bytes_per_second', %a), '>', 0,
           'how many a second of late');
}


sub histograms {
    my %video = (application => 'live', stream => 'a', rendition => 'source',
                 media => 'video');
    my $m = metrics();
    my $parts = $m->value('live_track_parts_total', %video);

    for my $name (qw/ live_part_lateness_seconds
                      live_part_available_seconds /)
    {
        my $count = $m->value("${name}_count", %video);

        is($m->value("${name}_bucket", %video, le => '+Inf'), $count,
           "$name: the last bucket has all");
        cmp_ok($m->value("${name}_bucket", %video, le => '5.000'), '>=',
               $count / 2, "$name: most within seconds");
        cmp_ok($count, '<=', $parts, "$name: not more than there are parts");
        cmp_ok($count, '>', $parts / 2, "$name: of most parts");
    }

    is($m->value('live_part_lateness_seconds_count', %video), $parts,
       'each part is late or not');

    # a frame that comes as soon as it is due is not late for long

    cmp_ok($m->value('live_part_available_seconds_sum', %video) / $parts, '<',
           2, 'parts are there soon');
}


# Without low latency, of an application whose name has to be escaped, and one
# that has ended and begins anew.
sub others {
    for my $url ('plain/b', 'q"<\\/c') {
        my ($app, $name) = split m{/}, $url;

        burst($app, $name);
        becomes('live_track_frames_total',
                { application => $app, stream => $name, rendition => 'source' },
                180, "$app: frames");
    }

    for my $n (1, 2) {
        burst('brief', 'again');
        $t->wait_for(sub {
            my $m = metrics();
            my %again = (application => 'brief', stream => 'again');

            return ($m->value('live_stream_up', %again) // 1) == 0
                   && ($t->get('/brief/again/source/playlist.m3u8')->{body}
                       // '') =~ /ENDLIST/;
        }, 15, 'end of the stream');
    }

    my $m = metrics();

    is_deeply($m->{errors}, [], 'one that ended and its successor are one');
    is($m->promtool(), '', 'promtool agrees');
    is($m->value('live_zone_publications_total'), 5, 'publications');
    cmp_ok($m->value('live_streams'), '>', 3, 'streams');
}


sub burst {
    my ($app, $name) = @_;

    my $client = Test::Live::RTMP->start(port => $t->port(1935), app => $app,
                                         name => $name);

    $client->send_tags([ grep { $_->{type} != 18 } @$tags ]);
    $client->stop($name);
}


# Each metric of the page is one of docs/metrics.md, and has a value.
sub names {
    my $m = metrics();
    my $docs = $t->read_file($t->root() . '/docs/metrics.md');

    is_deeply([ grep { $docs !~ /`$_`/ } $m->families() ], [],
              'each metric is in docs/metrics.md');
    is_deeply([ grep { !$m->has_samples($_) } $m->families() ], [],
              'each has a sample');
}


sub cardinality {
    my $m = metrics('/few');
    my %streams = map { $_->{labels}{stream} => 1 } $m->all('live_stream_up');

    is(keys %streams, 2, 'streams=2: two of them');
    is($m->value('live_streams_omitted'), 2, 'the rest is counted');
    is(metrics()->value('live_streams_omitted'), 0, 'by default all are there');
    is_deeply([ sort keys %streams ],
              [ sort map { $_->{labels}{stream} }
                (metrics()->all('live_stream_up'))[0, 1] ],
              'those that come first');
}


# --- Prometheus ---------------------------------------------------------------

sub prometheus {
    my $rules = $t->root() . '/examples/prometheus/alerts.yml';

    $t->write_file_expand('prometheus.yml', <<"YML");
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files:
  - $rules
scrape_configs:
  - job_name: nginx
    static_configs:
      - targets: ['127.0.0.1:%%PORT_8080%%']
YML

    my ($code, $output) = $t->command('promtool', 'check', 'rules', $rules);

    is($code, 0, 'the alert rules are valid') or diag($output);

    ($code, $output) = $t->command('promtool', 'check', 'config',
                                   $t->dir() . '/prometheus.yml');
    is($code, 0, 'and so is the configuration') or diag($output);

    return $t->spawn('prometheus',
                     '--config.file=' . $t->dir() . '/prometheus.yml',
                     '--storage.tsdb.path=' . $t->dir() . '/tsdb',
                     '--web.listen-address=127.0.0.1:' . $t->port(9090),
                     '--log.level=warn');
}


sub api {
    my ($path) = @_;

    my $r = $t->get($path, port => $t->port(9090), version => '1.0');
    my $answer = eval { decode_json($r->{body}) } || {};

    return ($answer->{status} || '') eq 'success' ? $answer->{data} : undef;
}


sub query {
    my ($query) = @_;

    $query =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ge;

    my $data = api("/api/v1/query?query=$query") or return undef;
    my $result = $data->{result}[0] or return undef;

    return $result->{value}[1];
}


sub scraped {
    my ($sum) = @_;

    my $labels = '{application="live",stream="a",rendition="source"}';

    is($t->poll(sub { query('up') }, 20), 1, 'Prometheus scrapes it');

    ok($t->poll(sub {
           (query("live_track_frames_total$labels") // -1) == $sum->{video}
       }, 15), 'and knows how many frames there were');
    is(query("live_track_bytes_total$labels"), $sum->{videos}, 'how many bytes');

    ok($t->poll(sub {
           defined query("live_track_frames_total{application=\"q\\\"<\\\\\"}")
       }, 15), 'an odd name arrives as it is');

    my $late = query('histogram_quantile(0.5, sum by (le) '
                     . '(live_part_lateness_seconds_bucket))');

    like($late, qr/^[\d.e-]+$/, "and quantiles: $late s");

    my ($target) = @{ api('/api/v1/targets')->{activeTargets} };

    is($target->{health}, 'up', 'the target is well');
    is($target->{lastError}, '', 'without an error');

    my @rules = map { @{ $_->{rules} } } @{ api('/api/v1/rules')->{groups} };

    cmp_ok(@rules, '>', 4, 'it has the rules');

    ok($t->poll(sub {
           my @now = map { @{ $_->{rules} } }
                     @{ api('/api/v1/rules')->{groups} };
           return !grep { $_->{health} ne 'ok' } @now;
       }, 15), 'and evaluates them all');
}


# --- reload -------------------------------------------------------------------

sub reload {
    my %a = (application => 'live', stream => 'a');
    my %video = (%a, rendition => 'source', media => 'video');
    my $before = metrics();

    ok($t->reload(), 'reload');

    my $m = metrics();

    for my $name (qw/ live_stream_received_bytes_total
                      live_stream_sent_bytes_total
                      live_stream_publications_total /)
    {
        is($m->value($name, %a), $before->value($name, %a),
           "$name is the same");
    }

    is($m->value('live_track_frames_total', %video), $first->{video},
       'frames are the same');

    # one that an old worker receives, as new ones tell it

    my $client = Test::Live::RTMP->start(port => $t->port(1935),
                                         app => 'live', name => 'a');
    my $feed = Test::Live::Feed->new($client, $tags);
    my $reloaded = 0;
    my $there = sub {
        my $rate = metrics()->value('live_stream_received_bytes_per_second', %a);

        return 0 unless $rate;
        return 1 if $reloaded++;

        ok($t->reload(), 'reload under a publisher');
        return 0;
    };

    ok(Test::Live::Feed::run(30, sub { $there->() }, $feed),
       'the bit rate of a publisher of an old worker');
    is(metrics()->value('live_stream_up', %a), 1, 'it is there');
    is(metrics()->value('streaming_active_streams'), 1, 'and active');
    is(metrics()->value('live_stream_publications_total', %a), 2,
       'two publications');
    is(metrics()->value('live_stream_discontinuities_total', %a), 1,
       'and a discontinuity between them');
    cmp_ok(metrics()->value('live_stream_publisher_rtt_seconds', %a), '>', 0,
           'the round trip to its publisher is known');
    cmp_ok(metrics()->value('live_track_frames_total', %video), '>',
           $first->{video}, 'frames go on');
    cmp_ok(metrics()->value('live_workers'), '>=', 3, 'with old workers');
    cmp_ok(metrics()->value('streaming_memory_bytes'), '>', 1e6, 'memory');
    cmp_ok(metrics()->value('streaming_cpu_percent'), '<', 1000, 'CPU');
    cmp_ok(metrics()->value('live_stream_uptime_seconds', %a), '>', 0,
           'for how long it is there');
    cmp_ok(metrics()->value("live_track_${_}bytes_per_second", %video), '>', 0,
           "bytes a second: ${_}what was published")
        for '', 'average_';

    ok($t->poll(sub { (query('live_stream_up{stream="a"}') // 0) == 1 }, 10),
       'Prometheus sees it');

    $client->close();
}


# --- renditions that are made here --------------------------------------------

sub ladder {
    my %tiny = (application => 'ladder', rendition => 'tiny');
    my $client = Test::Live::RTMP->start(port => $t->port(1935),
                                         app => 'ladder', name => 'l');
    my $feed = Test::Live::Feed->new($client, $tags);
    my ($m, $busy);

    Test::Live::Feed::run(40, sub {
        $m = metrics();
        $busy ||= $m->value('streaming_cpu_percent') > 0;
        return ($m->value('live_track_segments_total', %tiny) // 0) > 1;
    }, $feed);

    ok($busy, 'CPU');

    is($m->value('live_track_running', %tiny), 1, 'a rendition runs');
    is($m->value('streaming_ffmpeg_processes'), 1, 'one is transcoded');
    is($m->value('live_transcoder_renditions', application => 'ladder'), 1,
       'of the stream');
    is($m->value('live_transcoder_shed_level', application => 'ladder'), 0,
       'nothing is left out');
    cmp_ok($m->value('live_track_frames_total', %tiny), '>', 30,
           'its frames are counted');

    my $parts = $m->value('live_track_parts_total', %tiny);

    is($m->value('live_part_lateness_seconds_count', %tiny), $parts,
       'so is how late its parts are');

    cmp_ok($m->value('live_part_lateness_seconds_sum', %tiny) / $parts, '<', 10,
           'they are not far behind');
    is($m->promtool(), '', 'promtool has nothing to say');

    $client->stop('l');
    becomes('streaming_ffmpeg_processes', {}, 0, 'it ends with its stream');
}
