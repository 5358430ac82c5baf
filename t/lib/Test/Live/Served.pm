package Test::Live::Served;

# All that is served of a stream that has ended, one rendition at a time, read
# as a strict player reads it:
#
#     my $track = Test::Live::Served->new($t, '/live/x', 'source');
#
#     # { errors, playlist, samples, groups, gaps }
#     # groups, what is between two discontinuities: { dsn, init, bytes,
#     #   samples }; of a sample: { dts, cts, ms (presented), dsn, data, sync }
#
# errors: what is against HLS-8, HLS-10, HLS-19..23, CMAF-7..15.  Where the
# playlist is interrupted the last segment may be announced to last a little
# longer than its media: players have been told of its parts already.
#
#     my ($md5, $complaint) = $track->frames();   # decoded, by ffmpeg
#     my @wrong = Test::Live::Served::out_of_step($video, $audio);

use strict;
use warnings;

use Test::Live::M3U8;
use Test::Live::MP4;

# Seconds by which an interrupted segment may be announced too long.
my $most_over = 0.041;


# Options: forced (segments may begin without a key frame), stops (seconds, an
# interrupted segment may be announced so much longer).
sub new {
    my ($class, $t, $base, $rendition, %option) = @_;

    my $self = bless {
        t => $t, base => "$base/$rendition", rendition => $rendition,
        errors => [], samples => [], groups => [], gaps => 0, %option,
    }, $class;

    $self->playlist() or return $self;

    my @segments = @{ $self->{playlist}{segments} };

    for my $i (0 .. $#segments) {
        $self->segment($segments[$i], $segments[$i + 1]);
    }

    return $self;
}


sub error {
    my ($self, $text) = @_;

    push @{ $self->{errors} }, "$self->{base}: $text";
}


sub playlist {
    my ($self) = @_;

    my $t = $self->{t};
    my $last;

    $t->wait_for(sub {
        $last = $t->get("$self->{base}/playlist.m3u8");

        return $last->{status} == 200 && $last->{body} =~ /^#EXT-X-ENDLIST/m;
    }, 20, "ENDLIST of $self->{base}");

    if ($last->{status} != 200) {
        $self->error("the playlist answers $last->{status}");
        return 0;
    }

    $self->{playlist} = Test::Live::M3U8->parse($last->{body});
    $self->error($_) for @{ $self->{playlist}{errors} };
    $self->error('no ENDLIST') unless $self->{playlist}{endlist};

    return 1;
}


sub segment {
    my ($self, $segment, $next) = @_;

    my $r = $self->{t}->get("$self->{base}/$segment->{uri}");

    if ($segment->{gap}) {
        $self->error("$segment->{uri} is a GAP and answers $r->{status}")
            if $r->{status} != 404;
        $self->{gaps}++;
        $self->{before} = undef;
        return;
    }

    return $self->error("$segment->{uri} answers $r->{status}")
        if $r->{status} != 200;

    my $mp4 = Test::Live::MP4->segment($r->{body});
    my $group = $self->group($segment);

    $self->error("$segment->{uri}: $_")
        for grep { !$self->{forced} || !/^CMAF-13/ } @{ $mp4->{errors} };

    return unless @{ $mp4->{samples} };

    $self->error("$segment->{uri}: INDEPENDENT-SEGMENTS is not true (HLS-23)")
        if $self->{playlist}{independent} && !$mp4->{samples}[0]{sync};

    if ($self->{before} && !$segment->{discontinuity}) {
        $self->error("$segment->{uri}: $_")
            for Test::Live::MP4::join_errors($self->{before}, $mp4);
    }

    $self->check_end($segment, $mp4, $next, $group->{init}{timescale});
    $self->{before} = $mp4;
    $segment->{mp4} = $mp4;
    $group->{bytes} .= $r->{body};

    for my $s (@{ $mp4->{samples} }) {
        $s->{ms} = ($s->{dts} + $s->{cts}) * 1000 / $group->{init}{timescale};
        $s->{dsn} = $segment->{dsn};
        push @{ $group->{samples} }, $s;
        push @{ $self->{samples} }, $s;
    }
}


# HLS-10
sub check_end {
    my ($self, $segment, $mp4, $next, $scale) = @_;

    my $media = ($mp4->{end} - $mp4->{start}) / $scale;
    my $over = $segment->{duration} - $media;
    my $most = $most_over + ($self->{stops} || 0);

    return if abs $over <= 2e-5;
    return if $over > 0 && $over < $most
              && (!$next || $next->{gap} || $next->{discontinuity});

    $self->error("$segment->{uri}: EXTINF $segment->{duration} of $media");
}


sub group {
    my ($self, $segment) = @_;

    my $last = $self->{groups}[-1];

    return $last if $last && $last->{dsn} == $segment->{dsn};

    my $bytes = $self->{t}->get("$self->{base}/$segment->{map}")->{body};
    my $init = Test::Live::MP4->init($bytes);

    $self->error("$segment->{map}: $_") for @{ $init->{errors} };

    push @{ $self->{groups} },
         { dsn => $segment->{dsn}, bytes => $bytes, samples => [],
           init => $init, uri => $segment->{map} };

    return $self->{groups}[-1];
}


sub discontinuities {
    my ($self) = @_;

    return scalar grep { $_->{discontinuity} }
                  @{ $self->{playlist}{segments} };
}


# Checksums of what ffmpeg decodes of all groups, and what it complains about.
sub frames {
    my ($self) = @_;

    my (@md5, $complaint);
    my $stream = $self->{rendition} eq 'audio' ? 'a' : 'v';

    $complaint = '';

    for my $group (@{ $self->{groups} }) {
        my $file = $self->{t}->write_file('group.mp4', $group->{bytes});
        my ($text, @got) = decoded($self->{t}, $file, $stream);

        $complaint .= $text;
        push @md5, @got;
    }

    return (\@md5, $complaint);
}


# What ffmpeg complains about, and the checksums of the frames, of a file.
sub decoded {
    my ($t, $file, $stream) = @_;

    my $md5 = "$file.md5";

    $md5 =~ s{.*/}{};

    my $pid = $t->spawn({ stdout => $md5 },
                        qw/ ffmpeg -nostdin -loglevel error -threads 1 /,
                        '-i', $file, '-map', "0:$stream:0",
                        qw/ -fps_mode passthrough -f framemd5 - /);
    my $code = $t->wait_exit($pid, 60) // 124;
    my $text = $t->output($pid);

    # one line is worth a thousand
    $text =~ s/\A((?:.*\n){5}).*\z/$1.../s;
    $text = "exit code $code\n$text" if $code;

    return ($text, map { (split /,\s*/)[5] =~ /(\w+)/ } grep { !/^#/ }
                   split /\n/, $t->read_file($md5) // '');
}


# Segments of the same number begin within a frame of sound of each other
# (HLS-46), and have the same discontinuities (HLS-20).
sub out_of_step {
    my ($video, $audio) = @_;

    my %video = map { $_->{msn} => $_ } @{ $video->{playlist}{segments} };
    my @segments = @{ $audio->{playlist}{segments} };
    my @wrong;

    for my $a (@segments) {
        my $v = $video{$a->{msn}} or next;

        # where a track begins, it may be in the middle of a segment
        next if $a->{msn} == $segments[0]{msn};

        my $off = $a->{pdt} - $v->{pdt};

        push @wrong, sprintf 'segment %d: audio begins %.3f s off video '
                             . '(HLS-46)', $a->{msn}, $off
            if abs $off > 1024 / 44100 + 2e-3;
        push @wrong, "segment $a->{msn}: DSN $a->{dsn} and $v->{dsn} (HLS-20)"
            if $a->{dsn} != $v->{dsn};
    }

    push @wrong, 'the last segments differ'
        if $segments[-1]{msn} != $video->{playlist}{segments}[-1]{msn};

    return @wrong;
}


1;
