#!/usr/bin/env perl

# The ladder as it is configured: names, parameters and encoders that rendition
# refuses, with directive, file and line; what an application has of its own;
# how long rungs are made, and by how many threads.

# asan

use strict;
use warnings;

use Test::More;
use Test::Live;

my $t = Test::Live->new();

# The source apart; of a stream with two tracks of its own.
my ($limit, $limit_sounds) = (8, 4);


# --- helpers ------------------------------------------------------------------

sub config {
    my ($text) = @_;

    return "%%TEST_GLOBALS%%\nevents { }\nlive {\nzone 8m;\n$text\n}\n";
}


# An application with these directives.
sub application {
    my ($text) = @_;

    return config("application live {\n$text\n}");
}


# Like nginx_t(), with the output of this run alone.
sub nginx_t {
    my ($text) = @_;

    $t->write_file('nginx_t.out', '');

    return $t->nginx_t($text);
}


# What nginx -t prints is about the file alone: encoders and libav are quiet.
sub quiet {
    my ($name, $output) = @_;

    my @foreign = grep { !/^nginx: |\[(?:emerg|notice|info)\] / }
                  split /\n/, $output;

    is("@foreign", '', "$name: nobody else prints");
}


sub good {
    my ($name, $text) = @_;

    my ($code, $output) = nginx_t($text);

    is($code, 0, "accepted: $name") or diag($output);
    quiet($name, $output);
}


# What is wrong stands in the line that ends in "#!".
sub bad {
    my ($name, $text, $pattern) = @_;

    my @lines = split /\n/, $t->expand($text);
    my ($line) = grep { $lines[$_ - 1] =~ /#!$/ } 1 .. @lines;
    my ($code, $output) = nginx_t($text);
    my ($message) = $output =~ /^nginx: \[emerg\] (.*)/m;

    ok($code, "refused: $name") or return;
    like($message // $output, qr/^$pattern in \S*nginx_t\.conf:$line$/,
         "$name: the message says what and where")
        or diag($output);
    quiet($name, $output);
}


# One rendition that is refused.
sub bad_rung {
    my ($rung, $pattern) = @_;

    bad("rendition $rung", application("rendition $rung; #!"), $pattern);
}


sub good_rung {
    my ($rung) = @_;

    good("rendition $rung", application("rendition $rung;"));
}


# --- the ladder ---------------------------------------------------------------

my @builtin = qw/ 1080p60 1080p 720p60 720p 480p 360p 240p /;

good_rung($_) for @builtin;

good('a ladder with the source', application(<<'EOT'));
rendition source copy;
rendition 1080p;
rendition 720p;
rendition 480p;
rendition 360p;
rendition 240p;
EOT

good('a ladder in live{}', config(<<'EOT'));
rendition source copy;
rendition 720p;
application live { }
EOT

# every parameter, quoted where nginx has to
good_rung('tiny size=426x240 video=400k maxrate=450k bufsize=0.8m '
          . 'preset=fast profile=baseline level=3.1 tune=zerolatency '
          . 'fps=30000/1001 gop=500ms codec=libx264 options=ref=2:bframes=0 '
          . 'audio=64k acodec=aac arate=44100 channels=1 threads=2 tonemap');
good_rung('crf size=640x360 crf=23 maxrate=1m bufsize=2m');
good_rung('720p video=2m fps=50 tune=film+fastdecode');
good_rung('2x2 size=2x2 video=10k');
good_rung('tall size=720x-2 video=2m');
good_rung('240p codec=h264_nvenc preset=p4');
good_rung('1080p codec=hevc_nvenc');
good_rung('1080p codec=libx265 options=rc-lookahead=5:no-sao=1');
good_rung('720p codec=libsvtav1 crf=35 options=tune=0');
good_rung('720p codec=libaom-av1 options=cpu-used=7:enable-cdef=0');
good_rung('720p codec=libvpx-vp9 options=cpu-used=6');
good_rung('240p threads=64');
good_rung('sound audio_only audio=48k');
good_rung('untouched audio_only');
good_rung('720p acodec=copy');
good_rung('A.b_c-9 size=-2x240 video=400k');
good_rung('x' x 31 . ' size=-2x240 video=400k');
good_rung('audio1 size=-2x240 video=400k');
good_rung('tsx size=-2x240 video=400k');


# --- names --------------------------------------------------------------------

for my $name ('.hidden', 'a/b', 'a b', 'a%20', 'ä', '', 'x' x 32) {
    bad_rung("\"$name\" size=-2x240 video=400k",
             qr/rendition "\Q$name\E" needs another name, of 1 to 31 /
             . 'characters of A-Z a-z 0-9 \. _ - and not beginning with a dot');
}

for my $name (qw/ audio ts audio- audio-96k /) {
    bad_rung("$name size=-2x240 video=400k",
             qr/rendition "$name" needs another name, this one is that of a /
             . 'track of every stream');
}

bad_rung($_, 'rendition "source" can only be "copy", what is encoded needs '
             . 'another name')
    for 'source', 'source size=-2x240 video=400k', 'source audio_only';

bad_rung("$_ copy", qr/invalid parameter "copy" of rendition "$_": only /
                    . '"source" is copied')
    for qw/ 720p other /;

bad_rung($_, 'rendition "source copy" has no other parameters')
    for 'source copy video=1m', 'source audio=96k copy', 'source copy copy';

bad('rendition without a name', application('rendition; #!'),
    'invalid number of arguments in "rendition" directive');
bad('a built-in name in other letters', application('rendition 720P; #!'),
    'rendition "720P": neither a size nor a rung of the built-in ladder');
bad('rendition beside live{}',
    "%%TEST_GLOBALS%%\nevents { }\nrendition 720p; #!\n",
    '"rendition" directive is not allowed here');


# --- parameters ---------------------------------------------------------------

my @wrong = (
    'what=1'            => 'unknown parameter',
    'fast'              => 'unknown parameter',
    'tonemap=1'         => 'unknown parameter',
    'size=426'          => 'size is WIDTHxHEIGHT, even, either may be -2',
    'size=427x240'      => 'size is WIDTHxHEIGHT, even, either may be -2',
    'size=9000x240'     => 'size is WIDTHxHEIGHT, even, either may be -2',
    'size=-2x-2'        => 'one side of the size must be known',
    'video=fast'        => 'no rate',
    'video=1'           => 'no rate from 1k to 1000m',
    'maxrate=2g'        => 'no rate from 1k to 1000m',
    'bufsize=-1k'       => 'no rate',
    'audio=64kbit'      => 'no rate from 1k to 1000m',
    'crf=64'            => 'crf is 0 to 63',
    'fps=x'             => 'no frame rate',
    'fps=30/0'          => 'no frame rate',
    'fps=241'           => 'fps is 1 to 240',
    'gop=often'         => 'no time',
    'gop=61s'           => 'gop is 100ms to 60s',
    'arate=7999'        => 'arate is 8000 to 96000 Hz',
    'channels=9'        => 'channels is 1 to 8',
    'threads=0'         => 'threads is 1 to 64',
    'preset='           => 'empty value',
    'level=123456789'   => 'value is too long',
);

while (my ($parameter, $reason) = splice @wrong, 0, 2) {
    bad_rung("720p $parameter",
             qr/invalid parameter "\Q$parameter\E" of rendition "720p": /
             . $reason);
}

bad('a parameter in another line of the directive',
    application("rendition tiny size=426x240\n    video=400k\n  fps=0; #!"),
    'invalid parameter "fps=0" of rendition "tiny": fps is 1 to 240');

bad_rung('tiny video=400k',
         'rendition "tiny": neither a size nor a rung of the built-in ladder');
bad_rung('tiny size=426x240',
         'rendition "tiny": neither video nor crf is set');
bad_rung('720p maxrate=2m', 'rendition "720p": maxrate is less than video');

for my $parameter (qw/ size=426x240 video=400k preset=fast tonemap /) {
    for my $rung ("audio_only $parameter", "$parameter audio_only") {
        bad_rung("sound $rung",
                 qr/invalid parameter "$parameter" of rendition "sound": /
                 . 'it has no picture, it is "audio_only"');
    }
}


# --- encoders -----------------------------------------------------------------

my $refuses = 'the encoder refuses the settings';
my $option = 'the encoder refuses an option: Error parsing option';

bad_rung('720p codec=nosuch', 'rendition "720p", codec "nosuch": libavcodec '
                              . 'has no encoder of this name');
bad_rung('720p codec=mpeg4', 'rendition "720p", codec "mpeg4": the encoder is '
                             . 'none of H\.264, HEVC, AV1 and VP9');
bad_rung('720p codec=h264_vaapi', 'rendition "720p", codec "h264_vaapi": the '
                                  . 'encoder takes no pictures of the main '
                                  . 'memory');
bad_rung('720p codec=vp9_vaapi', 'rendition "720p", codec "vp9_vaapi": the '
                                 . 'encoder takes no pictures of the main '
                                 . 'memory');
bad_rung('720p codec=libvpx-vp9 preset=fast',
         'rendition "720p", codec "libvpx-vp9": the encoder has no presets, '
         . 'only options');
bad_rung('720p codec=libsvtav1',
         qr/rendition "720p", codec "libsvtav1": the encoder begins segments /
         . 'with key frames only where crf is set; .*');

bad_rung('720p preset=slowest', qr/rendition "720p", codec "libx264": $refuses/
                                . ': Error setting preset.* slowest/.*');
bad_rung('720p tune=nosuch', qr/rendition "720p", codec "libx264": $refuses: /
                             . 'Error setting preset.*/nosuch');
bad_rung('720p profile=top', qr/rendition "720p", codec "libx264": $refuses: /
                             . 'Error setting profile top');
bad_rung('720p level=9.9', qr/rendition "720p", codec "libx264": $refuses: /
                           . "Error parsing option 'level' .*'9\\.9'");

bad_rung('720p options=nosuch=1', qr/rendition "720p", codec "libx264": /
                                  . "$option 'nosuch = 1'");
bad_rung('720p options=bframes=2:ref=many',
         qr/rendition "720p", codec "libx264": $option 'ref = many'/);

for my $text ('ref', 'ref=2:bframes', ':::') {
    bad_rung("720p options=$text", 'rendition "720p", codec "libx264": options '
                                   . 'are key=value:key=value');
}

bad_rung('720p acodec=nosuch', 'rendition "720p", acodec "nosuch": libavcodec '
                               . 'has no encoder of this name');
bad_rung('720p acodec=flac', 'rendition "720p", acodec "flac": the encoder is '
                             . 'not one of AAC');
bad_rung('sound audio_only acodec=nosuch',
         'rendition "sound", acodec "nosuch": libavcodec has no encoder of '
         . 'this name');


# --- how many -----------------------------------------------------------------

# So many rungs, with so many settings of audio.
sub rungs {
    my ($n, $audio) = @_;

    return map { "rendition r$_ size=-2x240 video=400k audio="
                 . (64 + ($_ < $audio ? $_ : $audio)) . 'k;' } 1 .. $n;
}


sub lines { return application(join "\n", @_) }


good("the source and $limit rungs",
     lines(rungs($limit, $limit_sounds), 'rendition source copy;'));
bad('a rung more', lines('rendition source copy;', rungs($limit, 1),
                         'rendition 240p; #!'),
    qr/rendition "240p" is one too many, there can be $limit and the source/);
for my $own ('size=-2x240 video=400k audio=32k', 'audio_only audio=65k',
             'audio_only')
{
    bad("a setting of audio more: $own",
        lines(rungs($limit_sounds, $limit_sounds), "rendition last $own; #!"),
        qr/rendition "last" is one too many, there can be $limit_sounds /
        . 'different settings of audio, each "audio_only" included');
}

good('settings of audio as many as there can be, one audio_only',
     lines(rungs($limit_sounds, $limit_sounds - 1),
           'rendition sound audio_only audio=65k;'));

bad('a rendition twice', lines('rendition 720p;', 'rendition 720p fps=25; #!'),
    'duplicate rendition "720p"');
bad('the source twice',
    lines('rendition source copy;', 'rendition source copy; #!'),
    'duplicate rendition "source"');


# --- an application's own, and live{}'s ---------------------------------------

my @full = rungs($limit, $limit_sounds);

good('a name of live{} again in an application', config(<<'EOT'));
rendition 720p;
application live { rendition 720p fps=25; }
EOT
good('a name again in another application', config(<<'EOT'));
application one { rendition 720p; }
application two { rendition 720p; }
EOT
good('an application with a full ladder below one of live{}',
     config(join "\n", @full, 'application live {', reverse(@full), '}'));
good('an application with a full ladder, then one of live{}',
     config(join "\n", 'application live {', @full, '}', @full));
bad('a name again in live{} behind an application',
    config("rendition 720p;\napplication live { rendition 480p; }\n"
           . 'rendition 720p; #!'),
    'duplicate rendition "720p"');


# --- transcode, transcode_idle, transcode_threads -----------------------------

good("transcode $_", application("transcode $_;")) for qw/ on_demand always /;
good("transcode_idle $_", application("transcode_idle $_;"))
    for qw/ 1s 1000ms 30s 1h 60m /;
good("transcode_threads $_", application("transcode_threads $_;")) for 1, 16;

good('all three in live{} and in an application', config(<<'EOT'));
transcode always; transcode_idle 1m; transcode_threads 2;
application live {
    transcode on_demand; transcode_idle 10s; transcode_threads 1;
}
EOT

bad('transcode with another word', application('transcode sometimes; #!'),
    'invalid value "sometimes"');
bad("transcode_idle $_", application("transcode_idle $_; #!"),
    '"transcode_idle" must be 1s to 1h')
    for qw/ 0 999ms 3601s 2h /;
bad('transcode_idle with junk', application('transcode_idle soon; #!'),
    '"transcode_idle" directive invalid value');
bad("transcode_threads $_", application("transcode_threads $_; #!"),
    '"transcode_threads" must be 1 to 16')
    for 0, 17;
bad('transcode_threads with junk', application('transcode_threads many; #!'),
    '"transcode_threads" directive invalid number');

for my $line ('transcode always;', 'transcode_idle 10s;',
              'transcode_threads 2;')
{
    my ($name) = $line =~ /^(\w+)/;

    bad("$name twice", application("$line\n$line #!"),
        qr/"$name" directive is duplicate/);
    bad("$name without a value", application("$name; #!"),
        qr/invalid number of arguments in "$name" directive/);
    bad("$name beside live{}", "%%TEST_GLOBALS%%\nevents { }\n$line #!\n",
        qr/"$name" directive is not allowed here/);
}


# --- a running nginx ----------------------------------------------------------

# The master tries encoders at each reload, with its workers at work.

$t->write_file_expand('nginx.conf', <<'EOT');
%%TEST_GLOBALS%%
events { }
live { zone 64m; application live { } }
stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }
http {
    %%TEST_GLOBALS_HTTP%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
    }
}
EOT

$t->run();

my $pid = $t->ffmpeg_publish('live/s', clip => { seconds => 2, gop => 30 },
                             loop => -1);

sub playlist { return $t->get('/live/s/source/playlist.m3u8') }

ok($t->wait_for(sub { playlist()->{body} =~ /#EXTINF/ }, 20, 'segment'),
   'a stream without renditions is the source');

(my $text = $t->read_file('nginx.conf')) =~ s/(application live \{)/$1
    rendition source copy; rendition 240p; transcode on_demand;/;

$t->write_file('nginx.conf', $text);
ok($t->reload(), 'a ladder comes with a reload');

my $before = playlist()->{body};

$text =~ s/rendition 240p/$& preset=nosuch/;
$t->write_file('nginx.conf', $text);
$t->allow_log(qr/\[emerg\] .*rendition "240p"/);
ok(!$t->reload(), 'a reload is refused');
ok($t->log(qr/\[emerg\] .*rendition "240p", codec "libx264": $refuses/),
   'it says why');
ok($t->wait_for(sub { playlist()->{body} ne $before }, 20, 'segment'),
   'the stream goes on');

$t->end($pid);
done_testing();
