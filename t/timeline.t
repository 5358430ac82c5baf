#!/usr/bin/env perl

# Publishers whose clocks are wrong: what is served keeps the rules of HLS all
# the same, loses no more than it must, and keeps picture and sound in step
# (RTMP-24, RTMP-84, RTMP-85, RTMP-88, RTMP-89, HLS-8, HLS-10, HLS-19..23,
# HLS-46, CMAF-14).

use strict;
use warnings;

use List::Util qw/ max min /;
use Test::Live;
use Test::Live::Crawl::HLS;
use Test::Live::Loop;
use Test::Live::RTMP;
use Test::Live::Served;
use Test::More;
use Time::HiRes qw/ time /;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 256m;
    resume 1s;
    window 300s;

    application live { segment 2s max=4s; }
    application short { segment 1s max=2s; }
    application real { segment 1s max=2s; part 300ms; window 30s; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /short/ { live_play short; }
        location /real/ { live_play real; }
    }
}
CONF

my ($VIDEO, $AUDIO) = (9, 8);

my %small = (size => '160x90', seconds => 8);

my $plain = tags(%small, gop => 30);
my $film = tags(%small, gop => 48, fps => 24, bframes => 3, rate => 44100);
my $drift = tags(%small, gop => 60, seconds => 30);
my $long = tags(%small, gop => 900, seconds => 32);
my $once = tags(%small, gop => 10000);
my $refresh = tags(%small, extra => [ '-x264-params',
                                      'intra-refresh=1:keyint=30:bframes=0' ]);

# name => [ application, tags, options ].  Options: discontinuities (0), lost
# (pictures that may be missing, 0), mute (frames of sound, 4), off (ms that
# pictures may be off their time, 2), sound (the same of sound, 45), and those
# of Test::Live::Served.
my %cases = (
    'forward 1 s'   => [ 'live', [ jump($plain, 4500, 1000) ] ],
    'forward 5 s'   => [ 'live', [ jump($plain, 4000, 5000) ],
                         discontinuities => 1 ],
    'forward 5 s, no key' => [ 'live', [ jump($plain, 4500, 5000) ],
                         discontinuities => 1, lost => 15 ],
    'forward 1 h'   => [ 'live', [ jump($plain, 4000, 3_600_000) ],
                         discontinuities => 1 ],
    'back 500 ms'   => [ 'live', [ jump($plain, 4000, -500) ],
                         off => 502, mute => 30, sound => 600 ],
    'back 3 s'      => [ 'live', [ jump($plain, 4000, -3000) ],
                         discontinuities => 1 ],
    'back 1 h'      => [ 'live', [ jump(shifted($plain, 7_200_000), 7_204_000,
                                        -3_600_000) ],
                         discontinuities => 1 ],
    'from zero'     => [ 'live', [ restart(shifted($plain, 86_400_000),
                                           86_404_021) ],
                         discontinuities => 1 ],
    'from zero, sound late' => [ 'live', [ late_sound(300,
                                     restart(shifted($plain, 86_400_000),
                                             86_404_021)) ],
                         discontinuities => 1, lost => 30, mute => 60 ],
    'zero twice'    => [ 'live', [ restart($plain, 3000, 5000) ],
                         discontinuities => 2 ],

    '24 bits'       => [ 'live', [ wrap($plain, 24) ] ],
    '24 bits, sound late' => [ 'live', [ late_sound(300, wrap($plain, 24)) ] ],
    '31 bits'       => [ 'live', [ wrap($plain, 31) ] ],
    '31 bits, sound late' => [ 'live', [ late_sound(300, wrap($plain, 31)) ] ],
    'sign bit'      => [ 'live', [ wrap($plain, 32, 2 ** 31 - 4000) ] ],
    '32 bits, sound late' => [ 'live', [ late_sound(300, wrap($plain, 32)) ] ],

    'equal'         => [ 'live', [ coarse($film, $VIDEO, 125) ], off => 130 ],
    'reversed'      => [ 'live', [ reversed($plain) ], off => 70 ],
    'coarse sound'  => [ 'live', [ coarse($plain, $AUDIO, 64) ],
                         sound => 80 ],
    'rounded sound' => [ 'live', [ coarse($film, $AUDIO, 23) ],
                         sound => 80 ],
    'sound fast'    => [ 'live', [ scaled($drift, $AUDIO, 1.005) ],
                         stops => 0.15 ],
    'sound slow'    => [ 'live', [ scaled($drift, $AUDIO, 0.995) ],
                         mute => 12 ],

    'b-frames'      => [ 'live', $film ],
    'negative cts'  => [ 'live', [ with_cts($film, sub { $_[0] - 125 }) ],
                         stops => 0.125 ],
    'huge cts'      => [ 'live', [ with_cts($plain, sub { 8_388_607 }) ] ],
    'low cts'       => [ 'live', [ with_cts($plain, sub { -8_388_608 }) ] ],

    'fps 1000'      => [ 'live', [ metadata(1000, untimed($plain)) ] ],
    'fps 0'         => [ 'live', [ metadata(0, untimed($film)) ] ],
    'fps 15'        => [ 'live', [ metadata(15, untimed($plain)) ] ],

    'gop 30 s'      => [ 'short', $long, forced => 1 ],
    'one key frame' => [ 'short', $once, forced => 1 ],
    # recovery points count after the longest segment without an IDR picture,
    # or 2 s where none has come
    'refresh'       => [ 'short', $refresh, forced => 1 ],
    'refresh, no flags' => [ 'short', [ unflagged($refresh) ], forced => 1 ],
    'no idr'        => [ 'short', [ without_start($refresh, 1000) ],
                         lost => 95, mute => 100 ],
);

$t->run();

test_pace();
publish($_) for sort keys %cases;
test_case($_) for sort keys %cases;

done_testing();


# --- input --------------------------------------------------------------------

sub tags {
    my (@option) = @_;

    return [ grep { $_->{type} != 18 }
             @{ Test::Live::RTMP::flv_tags($t->clip(@option)) } ];
}


# Of a codec record 0, of a frame 1.
sub kind { return ord substr $_[0]{payload}, 1, 1 }

sub is_frame { return kind($_[0]) == 1 }


# Each tag with the timestamp that the sub makes of its own.
sub timed {
    my ($tags, $sub) = @_;

    return map { +{ %$_, true => $_->{true} // $_->{timestamp},
                    timestamp => $sub->($_) % 2 ** 32 } } @$tags;
}


sub shifted {
    my ($tags, $by) = @_;

    return [ map { +{ %$_, timestamp => $_->{timestamp} + $by,
                      true => $_->{timestamp} } } @$tags ];
}


sub jump {
    my ($tags, $from, $by) = @_;

    return timed($tags, sub {
        return $_[0]{timestamp} + ($_[0]{timestamp} >= $from ? $by : 0);
    });
}


# As encoders that count from zero again, at each of the times.
sub restart {
    my ($tags, @from) = @_;

    return timed($tags, sub {
        my ($tag) = @_;

        return $tag->{timestamp}
               - max(0, grep { $_ <= $tag->{timestamp} } @from);
    });
}


# A clock of so many bits that is over after 4 s, or begins at $start.
sub wrap {
    my ($tags, $bits, $start) = @_;

    $start //= 2 ** $bits - 4000;

    return timed($tags, sub { ($_[0]{timestamp} + $start) % 2 ** $bits });
}


# Sound arrives later than the pictures of its time.
sub late_sound {
    my ($ms, @tags) = @_;

    my %at = map { $_ => $_->{true} + ($_->{type} == $AUDIO ? $ms : 0) }
             @tags;

    return sort { $at{$a} <=> $at{$b} } @tags;
}


sub coarse {
    my ($tags, $type, $ms) = @_;

    return timed($tags, sub {
        my ($tag) = @_;

        return $tag->{timestamp} if $tag->{type} != $type;
        return $ms * int($tag->{timestamp} / $ms);
    });
}


sub scaled {
    my ($tags, $type, $by) = @_;

    return timed($tags, sub {
        return int($_[0]{timestamp} * ($_[0]{type} == $type ? $by : 1));
    });
}


# Each two pictures have each other's timestamps.
sub reversed {
    my ($tags) = @_;

    my @frames = grep { $_->{type} == $VIDEO && is_frame($_) } @$tags;
    my %ms = map { $frames[$_] => $frames[min($_ ^ 1, $#frames)]{timestamp} }
             0 .. $#frames;

    return timed($tags, sub { $ms{$_[0]} // $_[0]{timestamp} });
}


sub with_cts {
    my ($tags, $sub) = @_;

    return map {
        my %tag = %$_;

        if ($tag{type} == $VIDEO && is_frame($_)) {
            substr($tag{payload}, 2, 3) =
                substr pack('N', $sub->(cts($_)) & 0xffffff), 1;
        }

        \%tag;
    } @$tags;
}


sub cts {
    my ($tag) = @_;

    my $cts = unpack 'N', "\0" . substr $tag->{payload}, 2, 3;

    return $cts < 0x800000 ? $cts : $cts - 0x1000000;
}


# What is more than 10 s is not believed (RTMP-84).
sub sane_cts {
    my ($tag) = @_;

    my $cts = cts($tag);

    return abs $cts > 10_000 ? 0 : $cts;
}


sub metadata {
    my ($fps, @tags) = @_;

    return ({ type => 18, timestamp => 0,
              payload => Test::Live::RTMP::amf0('onMetaData',
                                                { framerate => $fps }) },
            @tags);
}


# Without what the SPS says about time: its VUI is left out.
sub untimed {
    my ($tags) = @_;

    return map {
        my %tag = %$_;

        $tag{payload} = substr($tag{payload}, 0, 5)
                        . untimed_record(substr $tag{payload}, 5)
            if $tag{type} == $VIDEO && kind($_) == 0;

        \%tag;
    } @$tags;
}


sub untimed_record {
    my ($avcc) = @_;

    my $n = unpack 'n', substr $avcc, 6, 2;
    my $sps = substr $avcc, 8, $n;

    (my $raw = $sps) =~ s/\0\0\x03/\0\0/g;

    my $bits = unpack 'B*', substr $raw, 4;
    my $pos = 0;
    my $ue = sub {
        my ($zeros) = substr($bits, $pos) =~ /\A(0*)1/;
        my $value = oct '0b' . substr $bits, $pos + length $zeros,
                                      1 + length $zeros;

        $pos += 1 + 2 * length $zeros;

        return $value - 1;
    };

    $ue->();

    if (ord(substr $raw, 1, 1) == 100) {
        $ue->() for 1 .. 3;
        $pos += 2;                  # no lossless mode, no scaling lists
    }

    $ue->();
    die "pic_order_cnt_type\n" if (my $type = $ue->()) == 1;
    $ue->() if $type == 0;
    $ue->();
    $pos += 1;
    $ue->() for 1, 2;
    $pos += 2;                      # frames only, direct_8x8_inference

    if (substr $bits, $pos++, 1) {
        $ue->() for 1 .. 4;
    }

    $bits = substr($bits, 0, $pos) . '01';
    $bits .= '0' while length($bits) % 8;
    $raw = substr($raw, 0, 4) . pack 'B*', $bits;
    $raw =~ s/\0\0([\0-\x03])/\0\0\x03$1/g;

    return substr($avcc, 0, 6) . pack('n', length $raw) . $raw
           . substr $avcc, 8 + $n;
}


# FLV calls no picture a key frame but the first one.
sub unflagged {
    my ($tags) = @_;

    my $n = 0;

    return map {
        my %tag = %$_;

        substr($tag{payload}, 0, 1) = "\x27"
            if $tag{type} == $VIDEO && is_frame($_) && $n++;

        \%tag;
    } @$tags;
}


sub without_start {
    my ($tags, $ms) = @_;

    return grep { !is_frame($_) || $_->{timestamp} >= $ms } @$tags;
}


sub publish {
    my ($name) = @_;

    my ($app, $tags) = @{ $cases{$name} };
    my $client = Test::Live::RTMP->start(port => $t->port(1935), app => $app,
                                         name => stream($name));

    ok($client->send_tags($tags), "$name: published");
    $client->stop(stream($name));
}


sub stream {
    my ($name) = @_;

    $name =~ s/[^\w.]+/-/g;

    return $name;
}


# --- what is served -----------------------------------------------------------

sub test_case {
    my ($name) = @_;

    my ($app, $tags, %option) = @{ $cases{$name} };
    my $base = "/$app/" . stream($name);
    my %track = map { $_ => Test::Live::Served->new(
                                $t, $base, $_, forced => $option{forced},
                                stops => $option{stops}) }
                qw/ source audio /;
    my ($video, $audio) = @track{qw/ source audio /};

    is_deeply([ map { @{ $_->{errors} } } $video, $audio ], [],
              "$name: what is served keeps the rules");

    return unless $video->{playlist} && $audio->{playlist};

    is_deeply([ Test::Live::Served::out_of_step($video, $audio) ], [],
              "$name: the segments of both tracks line up");
    is($video->discontinuities(), $option{discontinuities} || 0,
       "$name: discontinuities (HLS-19)");

    test_sync($name, $video) if $name =~ /refresh/;

    for my $track ($video, $audio) {
        my ($md5, $complaint) = $track->frames();

        is($complaint, '', "$name: ffmpeg decodes $track->{rendition} without "
                           . 'an error line');
    }

    test_frames($name, $VIDEO, $video, $tags, $option{lost} || 0);
    test_frames($name, $AUDIO, $audio, $tags, $option{mute} // 4);
    test_times($name, $video, $audio, $option{off} || 2,
               $option{sound} || 45);
}


# Where recovery points are all there is, segments begin with them; that they
# need nothing of before is not claimed (HLS-23).
sub test_sync {
    my ($name, $video) = @_;

    my @sync = map { $_->{mp4}{samples}[0]{sync} }
               @{ $video->{playlist}{segments} };

    like(join('', @sync), qr/\A1?01{3,}\z/, "$name: segments begin with "
                                           . 'recovery points (RTMP-85)');
    ok(!$video->{playlist}{independent}, "$name: no INDEPENDENT-SEGMENTS");
}


# What was sent is served, in its order; $most may be missing.  Each sample gets
# the time that it was sent with.
sub test_frames {
    my ($name, $type, $track, $tags, $most) = @_;

    my $head = $type == $VIDEO ? 5 : 2;
    my @sent = grep { $_->{type} == $type && is_frame($_)
                      && ($_->{true} // 0) >= 0 } @$tags;
    my @served = @{ $track->{samples} };
    my ($lost, $next) = (0, 0);

    # sound before the first picture has no place
    for my $tag (@sent) {
        my $sample = $served[$next];

        if ($sample && $sample->{data} eq substr $tag->{payload}, $head) {
            $sample->{sent} = $tag->{timestamp}
                              + ($type == $VIDEO ? sane_cts($tag) : 0);
            $next++;

        } else {
            $lost++;
        }
    }

    is($next, scalar @served, "$name: frames of $track->{rendition} are those "
                              . 'that were sent (invariant 2)');
    cmp_ok($lost, '<=', $most, "$name: frames of $track->{rendition} that are "
                               . 'missing');
}


# Between two discontinuities all that was sent is as far apart as it was; what
# wraps has the same distance in its circle.
sub test_times {
    my ($name, $video, $audio, $off, $sound) = @_;

    my (%middle, @wrong);

    for my $track ($video, $audio) {
        my $most = $track == $video ? $off : $sound;

        for my $group (@{ $track->{groups} }) {
            my @samples = grep { defined $_->{sent} } @{ $group->{samples} };
            my @off = map { $_->{ms} - $_->{sent} } @samples or next;
            my ($min, $max) = (min(@off), max(@off));

            push @wrong, sprintf '%s, DSN %d: times from %.1f to %.1f off',
                         $track->{rendition}, $group->{dsn}, $min, $max
                if $max - $min > $most && !wrapped(@off);

            push @{ $middle{$group->{dsn}} }, $off[0];
        }
    }

    for my $dsn (sort keys %middle) {
        my ($v, $a) = @{ $middle{$dsn} };

        push @wrong, sprintf 'DSN %d: sound and picture are %.1f ms off',
                     $dsn, $a - $v
            if defined $a && abs($a - $v) > max($off, $sound);
    }

    is_deeply(\@wrong, [], "$name: picture and sound are presented when they "
                           . 'were (CMAF-18)');
}


sub wrapped {
    my (@off) = @_;

    my $range = max(@off) - min(@off);

    return grep { abs($range - 2 ** $_) < 50 } 24, 31, 32;
}


# --- pace ---------------------------------------------------------------------

# Publishers that are not in real time, and players that follow them.
sub test_pace {
    my %pace = (
        burst => sub { $_[0] < 2500 || $_[0] > 4500 ? $_[0] : 4500 },
        fast  => sub { $_[0] / 2 },
        slow  => sub { $_[0] * 2 },
    );

    my $loop = Test::Live::Loop->new(port => $t->port(8080));
    my (%crawls, %feeds);

    for my $name (sort keys %pace) {
        my @tags = map { +{ at => $pace{$name}->($_->{timestamp}) / 1000,
                            tag => $_ } }
                   grep { $_->{timestamp} < 6100 } @$plain;

        $feeds{$name} = { tags => \@tags, begin => time(), name => $name,
                          client => Test::Live::RTMP->start(
                              port => $t->port(1935), app => 'real',
                              name => $name) };
        $crawls{$name} = Test::Live::Crawl::HLS->new(loop => $loop,
                                                     base => "/real/$name");
        $crawls{$name}->start();
        feed($loop, $feeds{$name});
    }

    ok($loop->run(sub {
        return !grep { !$_->ended() } values %crawls;
    }, 40), 'all have ended');

    for my $name (sort keys %pace) {
        $crawls{$name}->stop();

        # when a version was due, it is for the publisher to say
        my $result = $crawls{$name}->check(away => [ [ 0, 9e9 ] ]);

        is_deeply($result->{violations}, [], "$name: players find nothing "
                                             . 'against the rules');
        cmp_ok($result->{counts}{$_} // 0, '>=', 5, "$name: $_ were looked at")
            for qw/ segments parts /;
        my $track = Test::Live::Served->new($t, "/real/$name", 'source');

        test_frames($name, $VIDEO, $track,
                    [ map { $_->{tag} } @{ $feeds{$name}{tags} } ], 0);
        test_dates($track, $feeds{$name}{begin}) if $name eq 'burst';
    }
}


# Dates are those of the arrival, not counting what was late; within a second, as
# nobody knows when this process had its turn.
sub test_dates {
    my ($track, $begin) = @_;

    my @off = map { $_->{pdt} - $begin - $_->{mp4}{samples}[0]{sent} / 1000 }
              @{ $track->{playlist}{segments} };

    is_deeply([ grep { abs($_) > 1 } @off ], [],
              'burst: PROGRAM-DATE-TIME is when it came (HLS-21)');
}


# Sends what is due, and comes again.
sub feed {
    my ($loop, $feed) = @_;

    my $tags = $feed->{tags};

    while (@$tags > ($feed->{next} //= 0)) {
        my $next = $tags->[$feed->{next}];
        my $wait = $feed->{begin} + $next->{at} - time();

        if ($wait > 0) {
            $loop->after($wait, sub { feed($loop, $feed) });
            return;
        }

        $feed->{client}->send_tags([ $next->{tag} ]);
        $feed->{next}++;
    }

    $feed->{client}->stop($feed->{name});
}
