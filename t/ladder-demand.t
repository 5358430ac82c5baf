#!/usr/bin/env perl

# asan
# waits
#
# Rungs on demand: all are in the multivariant playlist, run from the first
# request on, which is held until there is something, and end when nobody has
# asked for a while.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Test::Live;
use Test::Live::Ladder;
use Test::Live::M3U8;
use Test::Live::MPD;
use Test::Live::RTMP;
use Test::Live::Steps;
use Test::More;
use Time::HiRes qw/ time sleep /;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

thread_pool live threads=2;

live {
    zone 256m;
    thread_pool live;
    segment 1s max=2s;
    part 200ms;
    window 60s;
    resume 1s;
    transcode_idle 2s;

    application live {
        rendition source copy;
        rendition low  size=320x180 video=200k preset=ultrafast;
        rendition tiny size=160x90 video=80k preset=ultrafast audio=48k;
    }

    application always {
        transcode always;
        rendition source copy;
        rendition low  size=320x180 video=200k preset=ultrafast;
        rendition tiny size=160x90 video=80k preset=ultrafast audio=48k;
    }

    application hidden {
        rendition low  size=160x90 video=200k preset=ultrafast;
        rendition tiny size=96x54 video=80k preset=ultrafast audio=48k;
    }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%
    add_header X-Pid $pid always;

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        location /live/ { live_play live; }
        location /always/ { live_play always; }
        location /hidden/ { live_play hidden; }
    }
}
CONF

# long enough: where it begins again a frame lasts longer
my %clip = (size => '320x180', gop => 30, fps => 30, seconds => 60);
my @rungs = qw/ low tiny audio-48k /;

$t->run();

test_listed();
test_first_request();
test_idle();
test_again();
test_joins();
test_manifest();
test_hidden();
test_ends();

done_testing();


# --- helpers ------------------------------------------------------------------

sub publish {
    my ($url) = @_;

    my $pid = $t->ffmpeg_publish($url, clip => \%clip, loop => -1);

    $t->wait_for(sub { media_playlist($t, "/$url/source", timeout => 1)
                       || $t->get("/$url/playlist.m3u8",
                                  timeout => 1)->{status} == 200 },
                 15, "stream $url");

    return $pid;
}


# How often a rung of a stream began, or stopped.
sub count_of {
    my ($what, $url, $rung) = @_;

    my $pattern = { begins => qr/rendition "$rung" begins/,
                    stops => qr/rendition "$rung" stops/ }->{$what};

    return scalar grep { m{"\Q$url\E"} } $t->log($pattern);
}


# What the multivariant playlist says of each rung, without its measured rates.
sub listed {
    my ($url) = @_;

    my $variants = variants($t, "/$url");

    return { map { my %a = %{ $variants->{$_}{attributes} };
                   delete @a{qw/ BANDWIDTH AVERAGE-BANDWIDTH /};
                   ($_ => \%a) } keys %$variants };
}


# --- tests --------------------------------------------------------------------

my $publisher;

sub test_listed {
    $publisher = publish('live/a');
    my $other = publish('always/a');

    ok($t->wait_for(sub { keys %{ listed($_) } == 3 }, 10, "rungs of $_"),
       "$_: the multivariant playlist lists all rungs")
        for 'live/a', 'always/a';

    is_deeply(listed('live/a'), listed('always/a'),
              'what it says of them is the same, whether they run or not');

    is(count_of('begins', 'live/a', $_), 0, "$_ does not run") for @rungs;
    ok($t->wait_for(sub { count_of('begins', 'always/a', $_) }, 10, $_),
       "with \"always\" $_ does") for @rungs;

    is($t->get('/live/a/none/playlist.m3u8')->{status}, 404,
       'what there is not is not waited for');

    $t->end($other);
}


# Two at once, of both workers as it happens, and one that the other rung is
# none of the business of.
sub test_first_request {
    my $before = listed('live/a');
    my @asked = map { ask($t, '/live/a/low/playlist.m3u8') } 1 .. 6;
    my @answers = map { answer($_) } @asked;

    is_deeply([ map { $_->{status} } @answers ], [ (200) x 6 ],
              'the first requests are held and answered');

    my $p = Test::Live::M3U8->parse($answers[0]{body});

    is_deeply($p->{errors}, [], 'by the rules');
    ok(@{ $p->{segments} } || @{ $p->{open}{parts} },
       'with what there is to play');

    is(count_of('begins', 'live/a', 'low'), 1, 'it began once');
    is(count_of('begins', 'live/a', $_), 0, "$_ did not")
        for qw/ tiny audio-48k /;

    # its numbers are those of the source
    my $r = fetch($t, '/live/a/low', until => sub {
        @{ $_[0]{segments} } >= 3
    });
    my $source = fetch($t, '/live/a/source', until => sub { 1 });

    is_deeply($r->{errors}, [], 'low: by the rules');
    is_deeply([ cut_errors($source, $r, least => 3) ], [],
              'low: cut where the source is');
    is_deeply([ decode_errors($t, $r) ], [], 'low: decodes');
    is_deeply(listed('live/a'), $before,
              'the multivariant playlist is the same');

    # its audio comes with it
    my $tiny = answer(ask($t, '/live/a/tiny/playlist.m3u8'));

    is($tiny->{status}, 200, 'tiny: answered');
    is(count_of('begins', 'live/a', 'audio-48k'), 1, 'and its audio runs');

    my ($video, $audio) = map {
        fetch($t, "/live/a/$_", until => sub { @{ $_[0]{segments} } >= 3 })
    } qw/ tiny audio-48k /;

    is_deeply([ map { @{ $_->{errors} } } $video, $audio ], [],
              'both by the rules');
    is_deeply([ cut_errors($video, $audio, least => 2,
                           slack => 1024 / 48000 + 0.002) ], [],
              'both cut alike');
}


my (%seen, $begun);

# Nobody asks: it stops, and what it had made is gone.
sub test_idle {
    my $r = fetch($t, '/live/a/low', until => sub {
        @{ $_[0]{segments} } >= 2
    });
    my $asked = time();

    $begun = count_of('begins', 'live/a', 'low');

    my %stops = map { $_ => count_of('stops', 'live/a', $_) } @rungs;

    %seen = map { $_->{uri} => md5_hex($_->{bytes}) } @{ $r->{segments} };

    # the other is asked for on and on
    ok($t->wait_for(sub {
        media_playlist($t, '/live/a/tiny');
        return count_of('stops', 'live/a', 'low') > $stops{low};
    }, 15, 'end of low'), 'low: stops, nobody asks for it');

    cmp_ok(time() - $asked, '>', 1.5, 'not before the time that is set');
    is(count_of('stops', 'live/a', 'tiny'), $stops{tiny},
       'tiny: goes on, it is asked for');

    is(scalar(keys %{ listed('live/a') }), 3,
       'all are in the multivariant playlist still');
    ok($t->wait_for(sub {
        !grep { $t->get("/live/a/low/$_")->{status} == 200 } keys %seen
    }, 10, 'the end of its media'), 'low: its media are gone');

    ok($t->wait_for(sub {
        count_of('stops', 'live/a', 'tiny') > $stops{tiny}
    }, 15, 'end of tiny'), 'tiny: stops too');
}


# It begins again: numbers go on, no URL has other bytes (invariant 3).
sub test_again {
    my $r = fetch($t, '/live/a/low', until => sub {
        @{ $_[0]{segments} } >= 2
    });
    my $source = fetch($t, '/live/a/source', until => sub { 1 });

    cmp_ok(count_of('begins', 'live/a', 'low'), '>', $begun, 'low: begins again');
    is_deeply($r->{errors}, [], 'low again: by the rules');
    is_deeply([ cut_errors($source, $r) ], [],
              'low again: cut where the source is');
    is_deeply([ grep { $seen{ $_->{uri} }
                       && $seen{ $_->{uri} } ne md5_hex($_->{bytes} // '') }
                @{ $r->{segments} } ], [],
              'low again: no URL has other bytes');
}


# A request for the manifest is one for all rungs.
# A rung begins where a player that changes to it may need it: with segments that
# were made before.  Those that run lose nothing by it.
sub test_joins {
    ok($t->wait_for(sub {
        count_of('stops', 'live/a', 'low')
            == count_of('begins', 'live/a', 'low')
    }, 15, 'end of low'), 'low: stops once more');

    # what it made last is not made again
    my $last = media_playlist($t, '/live/a/source')->last_msn();

    ok($t->wait_for(sub {
        media_playlist($t, '/live/a/source')->last_msn() >= $last + 6
    }, 15, 'six segments'), 'the source goes on');

    # segments of a second: up to ten, and six where the decoder has others
    joins('low', 4);

    my $low = count_of('begins', 'live/a', 'low');

    # the decoder runs for it by now, and goes back for another one
    fetch($t, '/live/a/low', until => sub { @{ $_[0]{segments} } >= 4 });
    joins('tiny', 4, sub { media_playlist($t, '/live/a/low') });

    my $r = fetch($t, '/live/a/low', until => sub {
        @{ $_[0]{segments} } >= 7
    });
    my $source = fetch($t, '/live/a/source', until => sub { 1 });

    is_deeply($r->{errors}, [], 'low meanwhile: by the rules');
    cmp_ok(count_of('begins', 'live/a', 'low'), '==', $low,
           'low meanwhile: runs as it did');
    is_deeply([ cut_errors($source, $r, least => 6) ], [],
              'low meanwhile: cut where the source is');
    is_deeply([ decode_errors($t, $r) ], [], 'low meanwhile: decodes');
    is_deeply(times_of($r), times_of($source, $r),
              'low meanwhile: has all frames, each once');
}


sub joins {
    my ($rung, $least, $also) = @_;

    my $source = media_playlist($t, '/live/a/source');
    my $msn = $source->last_msn();

    # not with a boundary
    ok($t->wait_for(sub {
        my $p = media_playlist($t, '/live/a/source');
        my $parts = @{ $p->{open}{parts} };
        my $new = $p->last_msn() > $msn;

        $msn = $p->last_msn();

        return !$new && $parts >= 2;
    }, 10, 'the middle of a segment'), "$rung: in the middle of a segment");

    my $p = Test::Live::M3U8->parse(
        answer(ask($t, "/live/a/$rung/playlist.m3u8"))->{body});
    my ($first) = map { $_->{msn} } @{ $p->{segments} }, $p->{open};

    cmp_ok($first, '<=', $msn - $least,
           "$rung: begins with segments of before it was asked for")
        or return;

    my $r = fetch($t, "/live/a/$rung", until => sub {
        $also->() if $also;
        return @{ $_[0]{segments} } >= 3;
    });

    $source = fetch($t, '/live/a/source', until => sub { 1 });

    is_deeply($r->{errors}, [], "$rung: by the rules");
    is_deeply([ cut_errors($source, $r, least => 3) ], [],
              "$rung: cut where the source is, parts as well");
    is_deeply([ decode_errors($t, $r) ], [], "$rung: decodes");
    is_deeply(times_of($r), times_of($source, $r),
              "$rung: has all frames of it");
}


# When the samples of a rendition are presented, in ms, within what the other
# one has.
sub times_of {
    my ($r, $other) = @_;

    my %in = map { $_->{msn} => 1 } grep { $_->{bytes} }
             @{ ($other // $r)->{segments} };
    my %have = map { $_->{msn} => 1 } grep { $_->{bytes} } @{ $r->{segments} };
    my $part = { %$r, segments => [ grep { $in{ $_->{msn} } && $have{ $_->{msn} } }
                                    @{ $r->{segments} } ] };

    return [ map { sprintf '%.0f', $_ * 1000 } presented($part) ];
}


sub test_manifest {
    my $stops = count_of('stops', 'live/a', 'low');

    ok($t->wait_for(sub { count_of('stops', 'live/a', 'low') > $stops }, 15,
                    'end of low'), 'low: stops again');

    my $body;

    ok($t->wait_for(sub {
        $body = $t->get('/live/a/manifest.mpd')->{body};
        return !grep { $body !~ /\bid="[^"]*\Q$_\E/ } @rungs;
    }, 20, 'all rungs in the manifest'), 'the manifest has all rungs');

    my $mpd = Test::Live::MPD->parse($body);

    is_deeply($mpd->{errors}, [], 'and keeps the rules of DASH');

    for my $rung (@rungs) {
        cmp_ok(count_of('begins', 'live/a', $rung), '>', 1, "$rung runs");
    }
}


# The source is in no playlist; its rungs start like others.
sub test_hidden {
    my $pid = publish('hidden/a');

    is_deeply([ sort keys %{ listed('hidden/a') } ], [ qw/ low tiny / ],
              'hidden: rungs only');

    my $p = answer(ask($t, '/hidden/a/low/playlist.m3u8'));

    is($p->{status}, 200, 'hidden: a rung is held and answered');
    is($t->get('/hidden/a/source/playlist.m3u8')->{status}, 404,
       'hidden: the source is not there');
    unlike($p->{body}, qr/source/, 'hidden: nor reported');

    $t->end($pid);
}


# The publisher leaves: what is held is answered, what runs comes to its end.
sub test_ends {
    my @low = map { $_->{uri} }
              @{ (media_playlist($t, '/live/a/low')
                  || { segments => [] })->{segments} };

    $t->end($publisher);

    my $source = fetch($t, '/live/a/source');
    my $low = fetch($t, '/live/a/low');

    for my $r ($source, $low) {
        is_deeply($r->{errors}, [], "$r->{base}: has come to its end");
    }

    is($low->{segments}[-1]{msn}, $source->{segments}[-1]{msn},
       'low: with the last segment of the source');
    cmp_ok(abs($low->{segments}[-1]{end} - $source->{segments}[-1]{end}),
           '<=', 1, 'low: to its last frame') if $low->{segments}[-1]{end};

    # asked for when it is over: there is nothing to wait for
    my $pid = publish('live/b');
    my $held = ask($t, '/live/b/tiny/playlist.m3u8');

    $t->end($pid);

    my $r = answer($held, 20);

    ok($r->{status}, 'what is held when the publisher leaves is answered');
}
