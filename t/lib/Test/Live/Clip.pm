package Test::Live::Clip;

# What Test::Live publishes: its media, and ffmpeg as an encoder.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use File::Path qw/ make_path /;


# A synthetic clip, made once: its path.  Options: seconds, size, fps, gop
# (frames), bframes, rate (audio), channels, video => 0, audio => 0, format
# ('flv', 'mp4'), extra (a list of arguments for ffmpeg's output).
sub clip {
    my ($self, %option) = @_;

    my %o = (seconds => 10, size => '320x180', fps => 30, gop => 60,
             bframes => 0, rate => 48000, channels => 2, video => 1,
             audio => 1, format => 'flv', extra => [], %option);

    my $key = join ' ', map {
        "$_=" . (ref $o{$_} ? "@{ $o{$_} }" : $o{$_})
    } sort keys %o;

    my $dir = $self->build_dir() . '/media';
    my $path = "$dir/" . md5_hex($key) . ".$o{format}";

    return $path if -f $path;

    make_path($dir);

    my ($code, $output) = $self->command(clip_command(\%o, "$path.$$"));
    die "cannot make a clip ($key):\n$output" if $code;

    rename "$path.$$", $path or die "cannot rename $path.$$: $!\n";

    return $path;
}


sub clip_command {
    my ($o, $path) = @_;

    my @command = qw/ ffmpeg -nostdin -y -loglevel error /;

    push @command, '-f', 'lavfi', '-i',
                   "testsrc2=size=$o->{size}:rate=$o->{fps}" if $o->{video};

    push @command, '-f', 'lavfi', '-i',
                   "sine=frequency=440:beep_factor=2:sample_rate=$o->{rate}"
        if $o->{audio};

    push @command, '-t', $o->{seconds}, '-fflags', '+bitexact',
                   '-flags', '+bitexact';

    push @command, qw/ -c:v libx264 -preset veryfast -threads 1
                       -pix_fmt yuv420p -x264-params /,
                   join(':', "keyint=$o->{gop}", "min-keyint=$o->{gop}",
                        'scenecut=0', "bframes=$o->{bframes}", 'open-gop=0')
        if $o->{video};

    push @command, qw/ -c:a aac -b:a 96k -ac /, $o->{channels} if $o->{audio};

    return (@command, @{ $o->{extra} }, '-f', $o->{format}, $path);
}


# Publishes a clip without encoding: the helper's pid.  The URL may be just
# "app/name".  Options: clip (a path, or a hash for clip()), loop (times more;
# -1 for ever), realtime => 0, args (of the output), input (of the input).
sub ffmpeg_publish {
    my ($self, $url, %option) = @_;

    my $clip = $option{clip} || {};

    $clip = $self->clip(%$clip) if ref $clip;
    $url = 'rtmp://127.0.0.1:' . $self->port(1935) . "/$url"
        unless $url =~ m{://};

    my @command = qw/ ffmpeg -nostdin -loglevel warning /;

    push @command, '-re' if $option{realtime} // 1;
    push @command, '-stream_loop', $option{loop} if $option{loop};

    return $self->spawn(@command, @{ $option{input} || [] }, '-i', $clip,
                        '-c', 'copy', @{ $option{args} || [] },
                        '-f', 'flv', $url);
}


1;
