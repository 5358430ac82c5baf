#!/usr/bin/env perl

# crash
#
# Every discontinuity begins a Period of the DASH manifest (DASH-35), also where
# the worker dies before it could say so, or before any picture came; and where
# one ends there is no more in its list than there is of media (DASH-38).
#
# waits

use strict;
use warnings;

use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::MPD;
use Test::Live::RTMP;
use Test::Live::Steps;
use Test::More;

my $t = Test::Live->new(build => 'crash');

$t->write_file('crash', "\0" x 4096);
$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 1;
env NGX_LIVE_CRASH=%%DIR%%/crash;
events { }

live {
    zone 64m;
    segment 1s max=2s;
    window 60s;
    resume 1h;
    publish_timeout 1h;

    application live { part 250ms; }
    application plain { part 0; }
    application brief { part 250ms; resume 1s; }
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
        location /brief/ { live_play brief; }
    }
}
CONF

my $tags = Test::Live::RTMP::flv_tags(
    $t->clip(seconds => 10, size => '64x36', fps => 16, gop => 16));

# no picture, though there is a header of them
my @sound = grep { $_->{type} != 9 || unpack('x C', $_->{payload}) == 0 }
            @$tags;

$t->run();
$t->allow_log(qr/worker process \d+ exited on signal 9/);

sysopen my $control, $t->dir() . '/crash', 2 or die "no control file: $!\n";

for my $app (qw/ live plain /) {
    test_sound_alone($app);
    test_sound_behind($app);
    test_point($app, $_) for qw/ segment segment-head period /;
}

test_end();

done_testing();


# --- helpers ------------------------------------------------------------------

sub begin {
    my ($url, $media) = @_;

    my $p;

    # a worker that was killed may not be replaced yet
    $t->wait_for(sub {
        $p = eval { Test::Live::Steps->publish($t, $url, tags => $media) };
    }, 15, "publisher of $url");

    return $p;
}


# A stream of one publication that is over.
sub first_publication {
    my ($url) = @_;

    my $p = begin($url, $tags);

    $p->upto(5000);
    $p->stop();
    $t->wait_for(sub {
        my $e = $p->edge('source');

        return $e->{status} == 200 && $e->{parts} == 0
               && @{ $e->{playlist}{segments} } >= 5;
    }, 15, 'the first publication');

    return $p->edge('source')->{msn};
}


sub arm {
    my ($point) = @_;

    my ($name, $none, $one) = (pack('Z32', $point), pack('l4', 0, 0, 0, 0),
                               pack('l', 1));

    # "hits" is the last
    for ([ 32, $none ], [ 0, $name ], [ 36, $one ]) {
        sysseek $control, $_->[0], 0;
        syswrite $control, $_->[1];
    }
}


sub died {
    sysseek $control, 40, 0;
    sysread $control, my $pid, 4;

    return unpack 'l', $pid;
}


# { MSN => whether it is a gap } of the segments behind a discontinuity.
sub discontinuities {
    my ($url, $rendition) = @_;

    my $p = Test::Live::M3U8->parse(
        $t->get("/$url/$rendition/playlist.m3u8")->{body});

    return map { $_->{msn} => $_->{gap} ? 1 : 0 }
           grep { $_->{discontinuity} } @{ $p->{segments} };
}


# Another publisher goes on; then all is as it should be.
sub goes_on {
    my ($url, $what) = @_;

    my $p = begin($url, $tags);
    my $from = $p->edge('source')->{msn};

    $p->until_true(sub { $p->edge('source')->{msn} >= $from + 3 });

    my %is = discontinuities($url, 'source');
    my %sound = discontinuities($url, 'audio');
    my $mpd = Test::Live::MPD->parse($t->get("/$url/manifest.mpd")->{body});

    is_deeply($mpd->{errors}, [], "$what: the manifest has no fault");
    is_deeply([ sort keys %is ], [ sort keys %sound ],
              "$what: the same discontinuities in both renditions (HLS-20)");
    is($is{(sort { $b <=> $a } keys %is)[0] // ''}, 0,
       "$what: the next publisher is behind one");

    my %begins = map { $_->{sets}[0]{reps}[0]{template}{start_number} => 1 }
                 @{ $mpd->{periods} };

    is_deeply([ grep { !$begins{$_} } sort keys %is ], [],
              "$what: a Period begins with each of them (DASH-35)");
    is(scalar(keys %begins), scalar @{ $mpd->{periods} },
       "$what: and one only (DASH-30)");

    $p->stop();

    return %is;
}


# --- the worker dies ----------------------------------------------------------

# Sound has had a segment, of which the pictures did not come: a GAP is made of
# them by who takes the stream over.
sub test_sound_alone {
    my ($app) = @_;

    my $url = "$app/sound";
    my $msn = first_publication($url);
    my $p = begin($url, \@sound);

    $p->until_true(sub { $p->edge('audio')->{msn} == $msn + 1 });

    is($p->edge('source')->{msn}, $msn, "$app: sound is a segment ahead");
    kill 'KILL', $t->workers();

    my %is = goes_on($url, "$app, sound alone");

    is($is{$msn}, 1, "$app: pictures have a gap behind a discontinuity");
}


# Sound was half a segment behind: the GAP in place of its last one ends where
# that of the pictures does (HLS-46).
sub test_sound_behind {
    my ($app) = @_;

    my $url = "$app/behind";
    my $p = begin($url, [ grep { $_->{type} != 8 || $_->{timestamp} < 2850 }
                          @$tags ]);

    $p->upto(3700);
    kill 'KILL', $t->workers();
    goes_on($url, "$app, sound behind");

    my ($picture, $sound) = map {
        my $list = Test::Live::M3U8->parse(
            $t->get("/$url/$_/playlist.m3u8")->{body});

        is_deeply($list->{errors}, [], "$app, sound behind: $_ by the rules");
        (grep { $_->{msn} == 4 } @{ $list->{segments} })[0];
    } qw/ source audio /;

    ok($sound->{gap} && !$picture->{gap}, "$app: sound has a gap");
    cmp_ok(abs($sound->{pdt} + $sound->{duration} - $picture->{pdt}
               - $picture->{duration}), '<', 0.024,
           "$app: that ends with the picture");
}


# At the end of the first segment of another publication.
sub test_point {
    my ($app, $point) = @_;

    my $url = "$app/$point";
    my $msn = first_publication($url);
    my $p = begin($url, $tags);

    arm($point);

    # it dies meanwhile
    eval { $p->until_true(\&died) };

    ok(died(), "$app, $point: the worker dies there");

    my %is = goes_on($url, "$app, $point");

    is($is{$msn}, 0, "$app, $point: its segment is there");
}


# Pictures end before sound does, and what was served of them stays as it is: the
# parts that make them as long have no media.
sub test_end {
    my $url = 'brief/end';
    my $p = begin($url, [ grep { $_->{timestamp} < ($_->{type} == 9 ? 4250
                                                                    : 4700) }
                          @$tags ]);
    my $mpd;

    $p->upto(5000);
    $p->stop();

    $t->wait_for(sub {
        $mpd = Test::Live::MPD->parse($t->get("/$url/manifest.mpd")->{body});

        return $mpd->{type} eq 'static';
    }, 30, 'static manifest');

    is_deeply($mpd->{errors}, [], 'at the end: the manifest has no fault');

    for my $rep (map { @{ $_->{reps} } } @{ $mpd->{periods}[-1]{sets} }) {
        my $s = $rep->{template}{timeline}[-1];
        my $uri = Test::Live::MPD::uri($rep, $s->{number}, $s->{t});
        my $mp4 = Test::Live::MP4->segment($t->get("/$url/$uri")->{body});

        is($s->{d}, $mp4->{end} - $mp4->{start},
           "$rep->{id}: S\@d is what the samples last");
    }

    my $list = Test::Live::M3U8->parse(
        $t->get("/$url/source/playlist.m3u8")->{body});
    my $last = $list->{segments}[-1];

    is_deeply($list->{errors}, [], 'the playlist has no fault');
    cmp_ok($last->{duration}, '>', 0.6, 'where the announced parts are in step');
}
