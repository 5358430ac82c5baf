#!/usr/bin/env perl

# The same frames in every format: what ffmpeg decodes of the CMAF of HLS, of
# DASH and of MPEG-TS is, bit for bit, what it decodes of the clip that was
# published (invariants 2 and 10); and each file by itself, with its init
# segment, holds the packets that it says (CMAF-76).

use strict;
use warnings;

use Test::Live;
use Test::Live::Crawl::HLS;
use Test::Live::Loop;
use Test::Live::MP4;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

thread_pool live threads=2;

live {
    zone 128m;
    thread_pool live;
    segment 2s max=4s;
    window 60s;
    resume 1s;

    application low { part 400ms; }
    application plain { part 0; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /low/ { live_play low; }
        location /plain/ { live_play plain; }
    }
}
CONF

# A publication of whole segments: ffmpeg reads one Period of a manifest only.
my $SECONDS = 8;

my %clips = (
    'low/film'   => { fps => '24', gop => 48, bframes => 2, rate => 48000 },
    'low/ntsc'   => { fps => '30000/1001', gop => 60, bframes => 1,
                      rate => 44100 },
    'plain/pal'  => { fps => '25', gop => 50, bframes => 2, rate => 44100 },
    'plain/fast' => { fps => '60000/1001', gop => 120, rate => 48000 },
);

$_->{path} = $t->clip(%$_, seconds => $SECONDS) for values %clips;

$t->run();

my %crawls = publish();

test_formats($_) for sort keys %clips;
test_files($_) for sort keys %clips;

done_testing();


# In real time, followed by players, until all is over: the crawls.
sub publish {
    my $loop = Test::Live::Loop->new(port => $t->port(8080));
    my %crawls;

    for my $name (sort keys %clips) {
        $t->ffmpeg_publish($name, clip => $clips{$name}{path});
        $crawls{$name} = Test::Live::Crawl::HLS->new(loop => $loop,
                                                     base => "/$name");
        $crawls{$name}->start();
    }

    ok($loop->run(sub { !grep { !$_->ended() } values %crawls },
                  $SECONDS + 20), 'all streams have ended');

    $_->stop() for values %crawls;

    return %crawls;
}


# --- formats ------------------------------------------------------------------

sub test_formats {
    my ($name) = @_;

    my $base = 'http://127.0.0.1:' . $t->port(8080) . "/$name";

    $t->wait_for(sub {
        return $t->get("/$name/manifest.mpd")->{body} =~ /type="static"/;
    }, 20, "end of the manifest of $name");

    for my $stream ('v', 'a') {
        my @source = frames("$name source $stream", $clips{$name}{path},
                            $stream);
        my @first;

        for my $url ("$base/playlist.m3u8", "$base/manifest.mpd",
                     "$base/ts/playlist.m3u8")
        {
            my ($format) = $url =~ m{/\Q$name\E/(.*)};
            my @got = frames("$name $format $stream", $url, $stream);

            # sound before the first picture has no place, and what follows
            # a cut is another overlap of the same blocks
            my $skip = $stream eq 'v' ? 0 : @source - @got;
            my @want = @source[$skip .. $#source];

            cmp_ok(abs $skip, '<=', 4, "$name: $format has all of $stream");

            if ($stream eq 'v') {
                is_deeply(\@got, \@want, "$name: the pictures of $format are "
                                         . 'those that were published');
            }

            @first = @got unless @first;
            is_deeply(\@got, \@first, "$name: $format has the same frames of "
                                      . "$stream as the playlist");
        }

        cmp_ok(scalar @first, '>', 20 * $SECONDS, "$name: there are frames of "
                                                  . $stream);
    }
}


# The checksums of the decoded frames.
sub frames {
    my ($what, $input, $stream) = @_;

    (my $file = "$what.md5") =~ s/[^\w.]/-/g;

    my $pid = $t->spawn({ stdout => $file },
                        qw/ ffmpeg -nostdin -loglevel error -threads 1 /,
                        '-i', $input, qw/ -map /, "0:$stream:0",
                        qw/ -fps_mode passthrough -f framemd5 - /);

    is($t->wait_exit($pid, 60), 0, "ffmpeg decodes $what");
    is($t->output($pid), '', "ffmpeg decodes $what without an error line");

    return map { (split /,\s*/)[5] =~ /(\w+)/ } grep { !/^#/ }
           split /\n/, $t->read_file($file) // '';
}


# --- files --------------------------------------------------------------------

# ffprobe finds in each file the packets that our own reader finds.
sub test_files {
    my ($name) = @_;

    my $files = $crawls{$name}{files};
    my (@off, $n);

    for my $path (grep { /\.m4s$/ } sort keys %$files) {
        my ($folder) = $path =~ m{^([^/]+)/};
        my ($init) = grep { m{^\Q$folder\E/init} } sort keys %$files;
        my ($bytes, $head) = map { bytes($files->{$_}) } $path, $init;

        next unless defined $bytes && defined $head;

        my @samples = @{ Test::Live::MP4->segment($bytes)->{samples} };
        my $file = $t->write_file('one.mp4', $head . $bytes);
        my ($code, $output) = $t->command(
            qw/ ffprobe -v error -show_entries packet=size -of csv=p=0 /,
            $file);
        my $packets = () = $output =~ /^\d+$/mg;

        $n++;
        push @off, "$path: $packets packets, exit $code, $output"
            if $packets != @samples || $code;

        # without a key frame there is a word about the missing picture
        push @off, "$path: $output"
            if $samples[0]{sync} && $output =~ /[a-z]/i;
    }

    is_deeply(\@off, [], "$name: ffprobe reads each file by itself");
    cmp_ok($n, '>', $SECONDS / 2, "$name: all $n of them");
}


sub bytes {
    my ($file) = @_;

    my ($r) = grep { $_->{status} == 200 } @{ $file->{answers} };

    return $r ? $r->{body} : undef;
}
