#!/usr/bin/env perl

# asan
#
# Sound that an encoder sends ahead of its picture: where both change, so do
# both playlists, with a discontinuity at the same segment (HLS-19, HLS-20).

use strict;
use warnings;

use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
events { }

live {
    zone 64m;
    segment 1s max=3s;
    resume 1s;

    application parts { part 400ms; window 30s; }
    application whole { part 0; window 30s; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /parts/ { live_play parts; }
        location /whole/ { live_play whole; }
    }
}
CONF

my $SECONDS = 6;
my @clips = map { tags(@$_) } [ size => '160x90', rate => 48000 ],
                              [ size => '192x108', rate => 44100 ];

$t->run();

my @ahead = (0, 10, 40, 90, 300);

for my $app (qw/ parts whole /) {
    publish($app, $_) for @ahead;
    test_change($app, $_) for @ahead;
}

done_testing();


sub tags {
    my (%option) = @_;

    my $clip = $t->clip(seconds => $SECONDS, fps => 15, gop => 15, %option);

    return [ grep { $_->{type} != 18 } @{ Test::Live::RTMP::flv_tags($clip) } ];
}


# Tags with the sound so many ms earlier in the order, not in time.
sub ahead {
    my ($ms, $tags) = @_;

    my @order = sort { at($ms, $tags->[$a]) <=> at($ms, $tags->[$b])
                       || $a <=> $b } 0 .. $#$tags;

    return [ @$tags[@order] ];
}


# The headers stay in front.
sub at {
    my ($ms, $tag) = @_;

    return -1000 if $tag->{payload} =~ /\A.\x00/s;
    return $tag->{timestamp} - ($tag->{type} == 8 ? $ms : 0);
}


sub playlist {
    my ($path) = @_;

    my $r = $t->get("$path/playlist.m3u8");

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : undef;
}


# The sound of the first clip reaches behind the first picture of the second.
sub publish {
    my ($app, $ms) = @_;

    my $client = Test::Live::RTMP->start(port => $t->port(1935), app => $app,
                                         name => "c$ms");

    $client->send_tags(ahead($ms, $clips[0]));
    $client->send_tags(ahead($ms, $clips[1]), 1000 * $SECONDS - $ms);
    $client->stop("c$ms");
}


sub test_change {
    my ($app, $ms) = @_;

    my $what = "$app, $ms ms ahead";
    my (%change, @wrong);

    for my $track (qw/ source audio /) {
        my $path = "/$app/c$ms/$track";
        my $playlist;

        $t->wait_for(sub { $playlist = playlist($path);
                           $playlist && $playlist->{endlist} }, 20,
                     "end of $path") or next;

        my @segments = @{ $playlist->{segments} };

        $change{$track} = join ' ', map { $_->{msn} }
                          grep { $_->{discontinuity} } @segments;

        # where one ends a little behind the beginning of the next
        push @wrong, map { "$track: $_" } grep { !/dated -0\.[0-3]/ }
                     @{ $playlist->{errors} };
        push @wrong, joins($path, @segments);
    }

    is_deeply(\@wrong, [], "$what: the playlists keep the rules");
    like($change{source}, qr/\A\d+\z/, "$what: one discontinuity");
    is($change{audio}, $change{source}, "$what: of the sound as well");
}


sub joins {
    my ($path, @segments) = @_;

    my (@wrong, $before);

    for my $segment (@segments) {
        my $mp4 = Test::Live::MP4->segment(
            $t->get("$path/$segment->{uri}")->{body});

        push @wrong, map { "$path/$segment->{uri}: $_" }
                     grep { !/^CMAF-13/ } @{ $mp4->{errors} },
                     $before && !$segment->{discontinuity}
                     ? Test::Live::MP4::join_errors($before, $mp4) : ();
        $before = $mp4;
    }

    return @wrong;
}
