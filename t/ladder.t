#!/usr/bin/env perl

# asan
#
# Rungs are cut where the source is, all of them decode, picture and sound stay
# in step, and what the source had at its end the rungs have too (HLS-46,
# CMAF-13, CMAF-14, CMAF-17, invariant 10).

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use List::Util qw/ max min /;
use Test::Live;
use Test::Live::Ladder;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

thread_pool live threads=2;

live {
    zone 256m;
    thread_pool live;
    segment 2s max=3s;
    part 500ms;
    window 300s;
    resume 2s;
    transcode always;

    application live {
        rendition source copy;
        rendition high size=640x360 video=400k preset=ultrafast;
        rendition low  size=320x180 video=200k preset=veryfast profile=main
                       audio=48k;
        rendition tiny size=160x90 video=80k preset=ultrafast fps=15 audio=48k;
        rendition keys size=128x72 video=80k preset=ultrafast gop=500ms
                       audio=32k arate=24000 channels=1;
    }

    application pure {
        rendition low  size=160x90 video=100k preset=ultrafast;
        rendition tiny size=96x54 video=50k preset=ultrafast;
    }

    application one {
        resume 1m;
        rendition source copy;
        rendition low size=160x90 video=100k preset=ultrafast audio=48k;
    }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /pure/ { live_play pure; }
        location /one/ { live_play one; }
    }
}
CONF

# s, of a frame of audio at 24 kHz and a little
my $SOUND = 1024 / 24000 + 0.002;

$t->run();

test_cuts();
test_sync();
test_wild();
test_republish();
test_takeover();

is(scalar(() = $t->log(qr/sheds load|is left out: |cannot be/)), 0,
   'nothing was shed or left out')
    or diag(join "\n", $t->log(qr/sheds load|is left out: |cannot be/));

done_testing();


sub tags { return Test::Live::RTMP::flv_tags($t->clip(@_)) }


# 9 s are four segments and a half.
sub test_cuts {
    my $tags = tags(size => '640x360', seconds => 9, gop => 60, bframes => 2);

    ok(send_whole($t, 'live/cuts', $tags, qw/ high low tiny keys /),
       'four rungs: published');

    my %r = map { $_ => fetch($t, "/live/cuts/$_") }
            qw/ source high low tiny keys audio audio-48k audio-32k /;
    my $source = $r{source};

    is(scalar @{ $source->{segments} }, 5, 'five segments');

    for my $name (sort keys %r) {
        is_deeply($r{$name}{errors}, [], "$name: by the rules, without a hole "
                                         . '(CMAF-14)');
        is_deeply([ decode_errors($t, $r{$name}) ], [],
                  "$name: decodes without an error");
        is(scalar @{ $r{$name}{segments} }, 5, "$name: all segments");
    }

    for my $name (qw/ high low tiny keys /) {
        is_deeply([ cut_errors($source, $r{$name}, least => 5,
                               parts => $name ne 'tiny') ], [],
                  "$name: the segments and parts of the source (HLS-46)");
        is_deeply([ closed_errors($r{$name}, keys => $name eq 'keys') ], [],
                  "$name: segments are closed and begin with an IDR picture, "
                  . 'the only one');
    }

    for my $name (qw/ audio audio-48k audio-32k /) {
        is_deeply([ cut_errors($source, $r{$name}, least => 5,
                               slack => $SOUND) ], [],
                  "$name: the segments and parts of the source (HLS-46)");
    }

    test_frames(\%r);
    test_shared($tags, \%r);
}


# None is lost, also not at the end.
sub test_frames {
    my ($r) = @_;

    my $begins = $r->{high}{segments}[0]{first};
    my @want = grep { $_ >= $begins } presented($r->{source});

    is(scalar @want, 9 * 30, 'nine seconds');

    is_deeply([ presented($r->{$_}) ], \@want, "$_: every frame, at its time")
        for qw/ high low keys /;

    my @half = presented($r->{tiny});
    my @all = map { sprintf '%.4f', $_ } @want;
    my %all = map { $_ => 1 } @all;

    cmp_ok(abs(@half - @want / 2), '<=', 5, 'tiny: every other frame');
    is_deeply([ grep { !$all{sprintf '%.4f', $_} } @half ], [],
              'tiny: at times of the source');

    for my $s (grep { $_->{samples} } @{ $r->{keys}{segments} }) {
        my @keys = map { ($_->{dts} - $s->{start}) / 90000 }
                   grep { $_->{sync} } @{ $s->{samples} };

        is_deeply([ map { sprintf '%.1f', $_ } @keys ],
                  [ map { sprintf '%.1f', $_ / 2 } 0 .. $#keys ],
                  "keys: a key frame each 500 ms in segment $s->{msn}");
    }
}


sub test_shared {
    my ($tags, $r) = @_;

    my @sent = map { md5_hex(substr $_->{payload}, 2) }
               grep { $_->{type} == 8 && ord(substr $_->{payload}, 1, 1) == 1 }
               @$tags;
    my @got = map { md5_hex($_->{data}) } samples($r->{audio});

    shift @sent while @sent && $sent[0] ne $got[0];

    is(scalar(@got), scalar(@sent), 'audio: to the end');
    is_deeply(\@got, \@sent, 'audio: byte for byte what was sent');

    my %group = map { my ($name, $v) = ($_, variants($t, '/live/cuts')->{$_});
                      ($name => $v ? $v->{attributes}{AUDIO} : 'none') }
                qw/ source high low tiny keys /;

    is($group{high}, $group{source}, 'a rung without audio setting has the '
                                     . 'audio of the source');
    is($group{low}, $group{tiny}, 'two with the same setting share one');
    isnt($group{low}, $group{source}, 'which is not the one of the source');
    isnt($group{low}, $group{keys}, 'another setting is another group');

    is($t->get("/live/cuts/audio-$_/playlist.m3u8")->{status}, 404,
       "there is no audio-$_") for qw/ 48k-2 32k-2 128k /;

    my ($init) = values %{ $r->{'audio-32k'}{inits} };

    is($init->{timescale}, 24000, 'audio-32k: has the sampling rate asked for');
}


# A flash and a beep at the same time, each second and a half.
sub test_sync {
    my $tags = tags(size => '320x180', seconds => 10, gop => 60, bframes => 2,
        extra => [
            '-vf', 'drawbox=t=fill:c=black,drawbox=t=fill:c=white:'
                   . "enable='lt(mod(t,1.5),0.1)*gt(t,2.5)'",
            '-af', "aeval='if(lt(mod(t,1.5),0.1)*gt(t,2.5),"
                   . "0.9*sin(2*PI*1500*t),0)':c=same" ]);

    ok(send_whole($t, 'live/sync', $tags, qw/ low keys /),
       'picture and sound: published');

    my %r = map { $_ => fetch($t, "/live/sync/$_") }
            qw/ source low keys audio audio-48k audio-32k /;
    my @flashes = flashes($t, $r{source});
    my @beeps = beeps($t, $r{audio});

    is(scalar @flashes, 5, 'five flashes');
    is(scalar @beeps, 5, 'five beeps');

    my @apart = map { ($beeps[$_] // 0) - ($flashes[$_] // 0) } 0 .. 4;

    for my $pair ([ 'low', 'audio-48k' ], [ 'keys', 'audio-32k' ]) {
        my ($video, $audio) = @$pair;
        my @f = flashes($t, $r{$video});
        my @b = beeps($t, $r{$audio});

        is_deeply([ grep { abs($_) > 0.001 }
                    map { ($f[$_] // 1e9) - ($flashes[$_] // 0) } 0 .. 4 ], [],
                  "$video: flashes where the source does");
        is_deeply([ grep { abs($_) > 0.005 }
                    map { ($b[$_] // 1e9) - ($f[$_] // 0) - $apart[$_] }
                    0 .. 4 ], [],
                  "$video and $audio: in step within 5 ms of what came");
        note(join ' ', map { sprintf '%.2f', 1000 * (($b[$_] // 0)
                             - ($f[$_] // 0) - $apart[$_]) } 0 .. 4);
    }
}


# Key frames now and then: the rungs' segments are regular where no playlist
# has the source.
sub test_wild {
    my $tags = tags(size => '320x180', seconds => 12, gop => 300,
        extra => [ '-force_key_frames', '0.7,3.1,3.5,8.9' ]);

    ok(send_whole($t, 'pure/wild', $tags, qw/ low tiny /),
       'wild key frames: published');

    is_deeply([ sort keys %{ variants($t, '/pure/wild') } ],
              [ qw/ low tiny / ], 'the source is in no playlist');

    my ($low, $tiny) = map { fetch($t, "/pure/wild/$_") } qw/ low tiny /;

    for my $r ($low, $tiny) {
        is_deeply($r->{errors}, [], "$r->{base}: by the rules");
        is_deeply([ decode_errors($t, $r) ], [], "$r->{base}: decodes");
        is_deeply([ closed_errors($r) ], [], "$r->{base}: closed segments");
    }

    is_deeply([ cut_errors($low, $tiny, least => 5) ], [],
              'both are cut alike');
    is_deeply([ map { sprintf '%.2f', $_->{duration} }
                @{ $low->{segments} } ], [ ('2.00') x 6 ],
              'all segments have the configured length');
    is(scalar(samples($low)), 360, 'and every frame is there');
    is(scalar(() = $t->log(qr/segments (?:become longer|are cut without)/)),
       0, 'nothing is wrong with that');
}


# The publisher comes back: the timeline goes on, with a discontinuity.
sub test_republish {
    my $tags = tags(size => '320x180', seconds => 5, gop => 60);
    my @names = qw/ source low audio-48k /;

    send_whole($t, 'one/again', $tags, 'low');

    my %first = map { $_ => quiet("/one/again/$_") } @names;

    send_whole($t, 'one/again', $tags, 'low');

    my %r = map { my $name = $_;
                  $name => fetch($t, "/one/again/$name", until => sub {
                      !@{ $_[0]{hints} } && $_[0]{segments}[-1]{msn} == 6
                  }) } @names;

    for my $name (@names) {
        my $r = $r{$name};
        my @old = map { "$_->{msn} $_->{uri}" } @{ $first{$name}{segments} };

        is_deeply($r->{errors}, [], "again, $name: by the rules");
        is_deeply([ decode_errors($t, $r) ], [], "again, $name: decodes");
        is_deeply([ map { "$_->{msn} $_->{uri}" }
                    @{ $r->{segments} }[0 .. $#old] ], \@old,
                  "again, $name: what was there is there still");
        is_deeply([ map { $_->{msn} } grep { $_->{discontinuity} }
                    @{ $r->{segments} } ], [ 4 ],
                  "again, $name: one discontinuity");
    }

    is_deeply([ cut_errors($r{source}, $r{low}, least => 5) ], [],
              'again: cut where the source is');
    is_deeply([ cut_errors($r{source}, $r{'audio-48k'}, least => 5,
                           slack => $SOUND) ], [], 'again: the audio too');

    # the rung begins with the second segment of each
    my %of = map { $_->{msn} => 1 } grep { $_->{samples} }
             @{ $r{low}{segments} };

    @{ $r{source}{segments} } = grep { $of{ $_->{msn} } }
                                @{ $r{source}{segments} };

    is_deeply([ presented($r{low}) ], [ presented($r{source}) ],
              'again: every frame');
}


# The playlist when nothing is being made any more.
sub quiet {
    my ($base) = @_;

    my $p;

    $t->wait_for(sub {
        $p = media_playlist($t, $base);
        return $p && @{ $p->{segments} } >= 2 && !@{ $p->{hints} };
    }, 20, "the end of $base");

    return $p;
}


# Another publisher takes the stream while the encoders still have something
# of the first.
sub test_takeover {
    my $tags = tags(size => '640x360', seconds => 4, gop => 60, bframes => 2);

    my $a = publisher($t, 'one/taken', $tags);

    pace($a, 3000, 'low');
    $a->upto(3990);
    $a->stop();

    my $b = publisher($t, 'one/taken', $tags);

    ok(pace($b, 4001, 'low'), 'taken while it drains: the next one goes on');
    $b->stop();

    my ($source, $low) = map {
        fetch($t, "/one/taken/$_", until => sub {
            !@{ $_[0]{hints} } && $_[0]{segments}[-1]{msn} >= 4
        })
    } qw/ source low /;

    for my $r ($source, $low) {
        is_deeply($r->{errors}, [], "taken, $r->{base}: by the rules");
        is_deeply([ decode_errors($t, $r) ], [], "taken, $r->{base}: decodes");
    }

    is_deeply([ grep { !/lasts|parts of/ }
                cut_errors($source, $low, least => 3) ], [],
              'taken: cut where the source is');
    is_deeply([ closed_errors($low) ], [], 'taken: closed segments');
}
