#!/usr/bin/env perl

# The examples as a user has them: each passes nginx -t, and that of the demo
# serves its page and what is published to it (issue requirements 1 and 15).

use strict;
use warnings;

use File::Basename qw/ basename dirname /;
use Test::More;
use Test::Live;
use Test::Live::M3U8;

my $t = Test::Live->new();
my $dir = $t->dir();
my $examples = $t->root() . '/examples';

# a prefix as an installed nginx has it
mkdir "$dir/modules";
symlink $t->{so}, "$dir/modules/ngx_live_module.so" or die "symlink: $!\n";
symlink $_, "$dir/modules/" . basename($_) for $t->stream_module();
symlink "$examples/player", "$dir/player" or die "symlink: $!\n";


# Ports, and where a log goes, are all that changes.
sub adapted {
    my ($file) = @_;

    my $text = $t->read_file($file);

    # as service.conf says that they are by default
    my %value = (SEGMENT_DURATION => 4, PLAYLIST_SIZE => 10,
                 LOW_LATENCY_HLS => 'on', STALE_THRESHOLD => 600,
                 CLEANUP_INTERVAL => 60);

    $text =~ s/\$\{([A-Z_]+)\}/$value{$1}/g;
    $text =~ s/\blisten\s+(?:\S+:)?(\d+)/listen 127.0.0.1:%%PORT_$1%%/g;
    $text =~ s/^error_log\s+\S+/error_log $dir\/error.log/m;
    $text =~ s/^load_module \S+ngx_stream_module\.so;//m
        unless $t->stream_module();
    $text =~ s/\b(ssl_certificate(_key)?)\s+\S+;/"$1 " . pem($2) . ";"/ge;

    return ($> == 0 ? "user root;\n" : '') . "daemon off;\n$text";
}


# An example's certificate is the user's own.
sub pem {
    my ($key) = @_;

    $t->command(qw/ openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj
                    \/CN=localhost -keyout /, "$dir/key.pem",
                '-out', "$dir/cert.pem") unless -f "$dir/cert.pem";

    return $key ? "$dir/key.pem" : "$dir/cert.pem";
}


my @examples = sort glob "$examples/*.conf";

ok(@examples, 'there are examples');

for my $file (@examples) {
    my ($code, $output) = $t->nginx_t(adapted($file));

    is($code, 0, basename($file) . ': nginx -t') or diag($output);
    unlike($output, qr/\[(?:warn|error)\]/, basename($file) . ': no warning');
}


# --- the demo -----------------------------------------------------------------

$t->write_file_expand('nginx.conf', adapted("$examples/nginx.conf"));
$t->run();

my $page = $t->get('/');

is($page->{status}, 200, 'the player page');
like($page->{headers}{'content-type'}, qr{^text/html}, 'is HTML');
like($page->{body}, qr/<video/, 'and has a video element');

my %types = (css => 'text/css', js => 'text/javascript');
my @files = $page->{body} =~ /(?:src|href)="([^":]+)"/g;

ok(@files, 'the page names its files');
ok(!(grep { m{//} } @files), 'all of them here');

for my $file (@files) {
    my $r = $t->get("/$file");
    my ($ext) = $file =~ /(\w+)$/;

    is($r->{status}, 200, "page: $file");
    is($r->{headers}{'content-type'}, $types{$ext}, "page: type of $file");
    ok(length $r->{body}, "page: $file has something");
}

is($t->get('/streams')->{body}, qq({"streams":[],"total":0,"offset":0}\n), 'no stream yet');

my $encoder = $t->ffmpeg_publish('live/demo', realtime => 0,
                                 clip => { seconds => 10, gop => 60 });

is($t->wait_exit($encoder, 60), 0, 'an encoder came and went')
    or diag($t->output($encoder));

like($t->get('/streams')->{body}, qr/"application":"live","name":"demo"/,
     'the list names the stream');

my $p = Test::Live::M3U8->parse($t->get('/live/demo/playlist.m3u8')->{body});

is_deeply($p->{errors}, [], 'the multivariant playlist keeps the rules');
is($p->{variants}[0]{uri}, 'source/playlist.m3u8', 'and names the source');
is($p->{media}[0]{URI}, 'audio/playlist.m3u8', 'and the audio');

for my $rendition (qw/ source audio /) {
    my $path = "/live/demo/$rendition";
    my $media = Test::Live::M3U8->parse(
        $t->get("$path/playlist.m3u8")->{body});
    my @segments = @{ $media->{segments} };

    is_deeply($media->{errors}, [], "$rendition: the playlist keeps the rules");
    is(@segments, 3, "$rendition: 10 s in segments of 4 s");

    $t->write_file("$rendition.mp4", join '', map {
        $t->get("$path/$_")->{body}
    } $segments[0]{map}, map { $_->{uri} } @segments);

    my ($code, $output) = $t->command(qw/ ffmpeg -nostdin -v error -i /,
                                      "$dir/$rendition.mp4", qw/ -f null - /);

    is($code, 0, "$rendition: ffmpeg decodes it");
    is($output, '', "$rendition: without a complaint");
}

my ($code, $frames) = $t->command(
    qw/ ffprobe -v error -count_frames -show_entries stream=nb_read_frames
        -of csv=p=0 /, "$dir/source.mp4");

is($frames, "300\n", 'every frame of the encoder is there');

$t->poll(sub { $t->read_file('logs/publish.log') =~ /demo/ }, 10);

like($t->read_file('logs/publish.log'),
     qr{^127\.0\.0\.1 \[.+\] live/demo finished \d+\.\d+s \d+ bytes$}m,
     'the log of publishers: $live_app, $live_name, $live_state, '
     . '$live_duration');

done_testing();
