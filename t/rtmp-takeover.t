#!/usr/bin/env perl

# Who may publish: a second publisher, one that falls silent, one that comes
# back (RTMP-71, RTMP-123; invariants 1, 3).

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time /;

use constant RTMP => 'Test::Live::RTMP';

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 128m;
    segment 1s;
    window 60s;

    application live {
        publish_stall 500ms;
        resume 60s;
    }

    application patient { publish_stall 60s; }
    application impatient { publish_timeout 1s; resume 1s; }
    application resume { resume 2s; }
}

stream {
    log_format live '$pid|$live_app/$live_name|$live_state|';
    access_log %%DIR%%/stream.log live;

    server { listen 127.0.0.1:%%PORT_1935%% reuseport; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        location /live/ { live_play live; }
        location /impatient/ { live_play impatient; }
        location /resume/ { live_play resume; }
    }
}
CONF

my $path = $t->clip(seconds => 3, gop => 30);
my $tags = RTMP->can('flv_tags')->($path);
my $others = RTMP->can('flv_tags')->($t->clip(seconds => 3, gop => 30,
                                              size => '256x144'));
my %clip = map { substr($_, 0, 1) => frames_of($_, $tags) } qw/ video audio /;

$t->run();

my @workers = $t->workers();
my %never = begin_nothing();

busy();
takeover(0);
takeover(1);
takeover_busy_time();
silence();
resume();
end_of_nothing();

done_testing();


# --- a second publisher -------------------------------------------------------

# While the first one sends it stays, whichever worker the second one meets.
sub busy {
    my $first = $t->ffmpeg_publish('live/busy', clip => $path, loop => -1);

    $t->wait_for(sub { playlist('live/busy') }, 15, 'first publisher');

    for my $worker (@workers) {
        my $second = client_on($worker);

        $second->connect('live');

        my $info = $second->publish('busy') || {};

        is("$info->{level} $info->{code}",
           'error NetStream.Publish.BadName',
           'a second publisher is refused (RTMP-70, RTMP-71)');
        like($info->{description}, qr/being published already/,
             'and told why');
        ok($second->is_closed(), 'and closed');
    }

    my @pids = map { /#(\d+): / } $t->log(qr/publishing "busy" refused/);

    is_deeply([ sort { $a <=> $b } @pids ], \@workers,
              'by both workers (invariant 1)');
    ok($t->is_running($first), 'the first publisher goes on');

    my ($video, $p) = read_track('live/busy/source');
    my @sent = @{ $clip{v} };
    my @wrong = grep { $video->[$_] ne $sent[$_ % @sent] } 0 .. $#$video;

    is("@wrong", '', 'and no frame of it is touched (invariant 9)');
    is(discontinuities($p), 0, 'and no discontinuity made');
    $t->end($first);

    # two who differ by the application only are strangers
    my $one = start('twice');
    my $two = start('twice', app => 'resume');

    finish($_) for $one, $two;
}


# The first one falls silent, its connection stays open: the other one gets
# the stream, on the same or on the other worker.
sub takeover {
    my ($other) = @_;

    my $where = $other ? 'on another worker' : 'on the same worker';
    my $name = "silent-$other";
    my $stream = "live/$name/source";

    my $first = client_on($workers[0]);
    $first->connect('live');
    is($first->publish($name)->{code}, 'NetStream.Publish.Start',
       "$where: the first publisher");
    $first->set_chunk_size(4096);
    $first->send_tags($tags);

    # two of three segments are complete
    my $old = $t->wait_for(sub {
        my $p = playlist($stream);

        return $p && @{ $p->{segments} } == 2 ? $p : 0;
    }, 10, 'segments of the first publisher');

    my $second = $t->wait_for(sub {
        my $c = client_on($workers[$other]);

        $c->connect('live');

        my $info = $c->publish($name);

        return $c if $info && $info->{code} eq 'NetStream.Publish.Start';

        $c->close();
        return 0;
    }, 10, 'takeover');

    ok($second, "$where: a silent publisher loses its stream (RTMP-71)");

    my $info = $first->status() || {};

    is($info->{code}, 'NetStream.Unpublish.Success',
       "$where: the first one is told");
    like($info->{description}, qr/another publisher/, 'and why');
    ok($first->is_closed(), 'and its connection closed');
    is(scalar(() = $t->log(
           qr{the stream was taken over by another publisher.*"live/$name"})),
       1, 'with a log line');
    ok($t->wait_for(sub {
           ($t->read_file('stream.log') // '')
               =~ m{^$workers[0]\|live/\Q$name\E\|replaced\|$}m
       }, 5, 'access log line'), '$live_state and $pid of the first one');

    $second->set_chunk_size(4096);
    $second->send_tags($tags, 500000);
    finish($second);

    my @begins = map { /#(\d+): / }
                 $t->log(qr{publishing begins.*"live/$name"});

    is("@begins", "$workers[0] $workers[$other]", "$where indeed");

    # the parts of the third segment are published as well (invariant 7)
    one_timeline($stream, $where, $old, 90, $clip{v});
    one_timeline("live/$name/audio", $where, undef, undef, $clip{a});
}


# What a publisher sends counts, not what it says.
sub takeover_busy_time {
    my $first = start('patience', app => 'patient');

    $first->send_tags($tags);

    my $second = RTMP->new(port => $t->port(1935));

    $second->handshake();
    $second->connect('patient');
    is($second->publish('patience')->{code}, 'NetStream.Publish.BadName',
       'publish_stall says how long silence may last');
    finish($first);

    # an ended publication need not be waited for
    my $third = start('patience', app => 'patient');

    pass('a publisher that has ended makes room at once');
    finish($third);
}


# --- silence ------------------------------------------------------------------

sub silence {
    my $c = start('quiet', app => 'impatient');

    $c->send_tags($tags);

    # any message will do: 2 s with a ping now and then
    my $end = time() + 2;

    while (time() < $end) {
        $c->message(4, pack('n N', 6, 1), csid => 2);
        $c->read_message(0.3);
        select undef, undef, undef, 0.2;
    }

    is($c->{closed}, 0, 'a publisher that sends something stays (RTMP-123)');

    ok($c->is_closed(10), 'publish_timeout drops a silent one (RTMP-123)');
    is(scalar(() = $t->log(
           qr{nothing came from the publisher for 1000ms.*"impatient/quiet"})),
       1, 'with a log line');
    like($t->read_file('stream.log'), qr{\|impatient/quiet\|timeout\|},
         '$live_state says so');

    my $p = $t->wait_for(sub {
        my $p = playlist('impatient/quiet/source');

        return $p && $p->{endlist} ? $p : 0;
    }, 10, 'end of the stream');

    ok($p, 'and the stream ends after resume (HLS-14)');

    my ($video) = read_track('impatient/quiet/source');

    is_deeply($video, $clip{v}, 'with all that had come');
}


# Connections that never get to publish.
sub begin_nothing {
    my %c;

    $c{silent} = RTMP->new(port => $t->port(1935));
    $c{$_} = RTMP->new(port => $t->port(1935))
        for qw/ handshake connect stream /;
    $c{$_}->handshake() for qw/ handshake connect stream /;
    $c{$_}->connect('live') for qw/ connect stream /;
    $c{stream}->create_stream();

    return %c;
}


sub end_of_nothing {
    for my $what (sort keys %never) {
        my $port = $never{$what}->socket()->sockport();

        ok($never{$what}->is_closed(15),
           "a connection that stops at \"$what\" is closed (RTMP-14)");
        my ($id) = map { /: (\*\d+) / } $t->log(qr/127\.0\.0\.1:$port connected/);
        my $not = $what eq 'silent' ? 'complete the handshake within 5000ms'
                                    : 'publish within 10000ms';
        is(scalar(() = $t->log(qr/\Q$id\E the client did not $not/)), 1,
           'with a log line');
    }
}


# --- coming back --------------------------------------------------------------

sub resume {
    my $stream = 'resume/back/source';
    my $c = start('back', app => 'resume');

    $c->send_tags($tags);
    finish($c);

    my $old = playlist($stream);

    is(scalar @{ $old->{segments} }, 3, 'all of an ended publication is there');
    is($old->{endlist}, 0, 'its playlist does not end within resume (HLS-14)');

    # as another encoder would: the timestamps have nothing to do with it
    $c = start('back', app => 'resume');
    $c->send_tags($tags, 0xfffff000);
    $c->close();

    my $all = $t->wait_for(sub {
        my $p = playlist($stream);

        return $p && @{ $p->{segments} } == 6 ? $p : 0;
    }, 10, 'segments of the second publication');

    one_timeline($stream, 'resumed', $old, 90, $clip{v});
    one_timeline('resume/back/audio', 'resumed', undef, undef, $clip{a});

    my $ended = $t->wait_for(sub {
        my $p = playlist($stream);

        return $p->{endlist} ? $p : 0;
    }, 10, 'end after resume');

    ok($ended, 'after resume the playlist ends (HLS-14)');
    is_deeply([ $ended->changes_since($all) ], [], 'and is else the same');

    # invariant 3
    my %bytes = map { ("resume/back/$_" => $t->get("/resume/back/$_")->{body}) }
                map { my $track = $_;
                      my $p = playlist("resume/back/$track");
                      map { "$track/$_" }
                      map { ($_->{uri}, $_->{map}) } @{ $p->{segments} } }
                qw/ source audio /;

    $c = start('back', app => 'resume');
    $c->send_tags($others);
    finish($c);

    my $new = playlist($stream);

    isnt(epoch($new), epoch($ended),
         'publishing again after the end makes a new epoch (invariant 3)');
    is($new->{endlist}, 0, 'whose playlist does not end');
    is_deeply($new->{errors}, [], 'and is valid');
    is(discontinuities($new), 0, 'and begins anew');
    is($new->{segments}[0]{msn}, 1, 'with segment 1');

    my ($video) = read_track($stream);
    is_deeply($video, frames_of('video', $others),
              'the new timeline is byte-exact');

    my @changed = grep { $t->get("/$_")->{body} ne $bytes{$_} } keys %bytes;

    cmp_ok(scalar keys %bytes, '>=', 14, 'files of the ended timeline');
    is("@changed", '', 'stay available with the same bytes (invariant 3)');

    my ($url) = map { "resume/back/source/$_->{uri}" } @{ $new->{segments} };
    my $other = $url =~ s/seg-(\w+)-/'seg-' . epoch($ended) . '-'/er;

    ok(length($bytes{$other}) && $t->get("/$url")->{body} ne $bytes{$other},
       'the same number names other bytes under the new epoch');
}


# --- what must be true of it --------------------------------------------------

# Two publications, one timeline: frames, time, one discontinuity, one epoch.
# kept: how many frames of the first one are served.
sub one_timeline {
    my ($stream, $what, $old, $kept, $frames) = @_;

    my ($got, $p, $segments) = read_track($stream);
    my @segments = @{ $p->{segments} };
    my ($at) = grep { $segments[$_]{discontinuity} } 0 .. $#segments;

    $what .= ', ' . ($stream =~ m{/(\w+)$})[0];
    is(discontinuities($p), 1, "$what: one discontinuity (HLS-19, HLS-20)");
    is_deeply([ map { $_->{msn} } @segments ],
              [ map { $_ + $segments[0]{msn} } 0 .. $#segments ],
              "$what: numbers go on (HLS-11)");

    my %epochs = map { $_->{uri} =~ /-(\w+)-/; $1 => 1 } @segments;
    is(scalar keys %epochs, 1, "$what: one epoch (invariant 3)");

    is_deeply([ $p->changes_since($old) ], [],
              "$what: what was listed stays as it is (HLS-12)") if $old;

    # audio may begin with the first picture
    if (defined $kept) {
        is_deeply($got, [ @$frames[0 .. $kept - 1], @$frames ],
                  "$what: the frames of both, byte-exact");
    } else {
        my @tail = @$got[-(@$frames - 4) .. -1];

        is_deeply(\@tail, [ @$frames[4 .. $#$frames] ],
                  "$what: the frames of the second one, byte-exact");
    }

    my $scale = $stream =~ /audio/ ? 48000 : 90000;
    my @anchors = map {
        int(1000 * ($segments[$_]{pdt} - $segments->[$_]{start} / $scale) + 0.5)
    } 0 .. $#segments;
    my @off = grep { abs($_ - $anchors[0]) > 1 } @anchors;

    is("@off", '', "$what: PROGRAM-DATE-TIME is anchor + time throughout "
                   . '(HLS-21)');
    cmp_ok($segments->[$at]{start}, '>=', $segments->[$at - 1]{end},
           "$what: time goes on (CMAF-14)");
    cmp_ok($segments->[$at]{start} / $scale,
           '<', $segments->[$at - 1]{end} / $scale + 60,
           "$what: and does not leap by the publisher's timestamps");
}


# --- tools --------------------------------------------------------------------

sub frames_of {
    my ($kind, $from) = @_;

    my ($type, $skip) = $kind eq 'video' ? (9, 5) : (8, 2);

    return [ map { md5_hex(substr $_->{payload}, $skip) }
             grep { $_->{type} == $type && $_->{payload} =~ /\A.\x01/s }
             @$from ];
}


sub start {
    my ($name, %option) = @_;

    return RTMP->start(port => $t->port(1935), app => 'live', name => $name,
                       %option);
}


sub client_on { return RTMP->on_worker($t, $_[0]) }


sub finish {
    my ($c) = @_;

    $c->command('deleteStream', undef, $c->{msid});

    my $info = $c->status();

    is($info && $info->{code}, 'NetStream.Unpublish.Success',
       'a publication ends in order') or diag($c->error());
    $c->close();
}


sub playlist {
    my ($path) = @_;

    $path .= '/source' if $path !~ m{/.*/};

    my $response = $t->get("/$path/playlist.m3u8");

    return $response->{status} == 200
           ? Test::Live::M3U8->parse($response->{body}) : undef;
}


sub discontinuities {
    my ($p) = @_;

    return scalar grep { $_->{discontinuity} } @{ $p->{segments} };
}


sub epoch {
    my ($p) = @_;

    return ($p->{segments}[0]{uri} =~ /seg-(\w+)-/)[0];
}


# MD5 of the samples, the playlist, and the segments of a track.
sub read_track {
    my ($path) = @_;

    my $playlist = playlist($path);
    my (@errors, @samples, @segments);

    push @errors, @{ $playlist->{errors} };

    for my $listed (@{ $playlist->{segments} }) {
        my $segment = Test::Live::MP4->segment(
            $t->get("/$path/$listed->{uri}")->{body});

        push @errors, @{ $segment->{errors} };
        push @errors, $segments[-1]->join_errors($segment)
            if @segments && !$listed->{discontinuity};

        push @samples, map { md5_hex($_->{data}) } @{ $segment->{samples} };
        push @segments, $segment;
    }

    is_deeply(\@errors, [], "$path is valid");

    return (\@samples, $playlist, \@segments);
}
