#!/usr/bin/env perl

# Every directive, used rightly and wrongly: nginx -t refuses what is wrong and
# names the directive, the file and the line; settings inherit as nginx's do.
# What belongs to the ladder is in config-ladder.t.

# asan

use strict;
use warnings;

use Test::More;
use Test::Live;

my $t = Test::Live->new();

my $rtmp = 'server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }';


# --- helpers ------------------------------------------------------------------

sub config {
    my ($text) = @_;

    return "%%TEST_GLOBALS%%\nevents { }\n$text\n";
}


sub with_http {
    my ($location, $live) = @_;

    $live //= 'live { zone 8m; application live { } }';

    return config("$live\nhttp {\n%%TEST_GLOBALS_HTTP%%\n"
                  . "map \$host \$app { default live; }\n"
                  . "server {\nlisten 127.0.0.1:%%PORT_8080%%;\n"
                  . "$location\n}\n}");
}


sub with_stream {
    my ($server, $live) = @_;

    $live //= 'live { zone 8m; application live { } }';

    return config("$live\nstream {\n$server\n}");
}


sub with_live {
    my ($text) = @_;

    return config("live {\n$text\n}");
}


sub good {
    my ($name, $text) = @_;

    my ($code, $output) = $t->nginx_t($text);

    is($code, 0, "accepted: $name") or diag($output);
}


# What is wrong stands in the line that ends in "#!".
sub bad {
    my ($name, $text, $pattern, $file) = @_;

    my ($line) = grep { (split /\n/, $t->expand($text))[$_ - 1] =~ /#!$/ }
                 1 .. split(/\n/, $t->expand($text));

    $file //= 'nginx_t.conf';
    $line //= 1;

    my $place = $file eq 'nginx_t.conf' ? qr/\Q$file\E:$line\b/ : qr/\Q$file\E/;
    my ($code, $output) = $t->nginx_t($text);
    my ($message) = $output =~ /\[emerg\].*?: (.*)/;

    ok($code, "refused: $name") or return;
    like($message // $output, qr/$pattern.* in \S*$place/,
         "$name: the message says what and where")
        or diag($output);
}


# --- live{}, zone, application ------------------------------------------------

good('the module without live{}', config(''));
good('live{} with a zone alone', with_live('zone 8m;'));
good('every setting in live{}', with_live(<<'EOT'));
zone 1g; segment 4s max=12s; part 500ms; window 60s; resume 60s;
publish_timeout 10s;
publish_stall 2s; publish_conflict stalled; backup off;
max_message 16m; rendition source copy;
transcode on_demand; transcode_idle 30s; transcode_threads 1;
EOT
good('every setting in an application', with_live(<<'EOT'));
zone 64m;
application live {
    segment 500ms; part 100ms; window 1500ms; resume 0; publish_timeout 1s;
    publish_stall 500ms; publish_conflict refuse; backup on;
    max_message 4k; rendition source copy;
    rendition 720p fps=25; transcode always; transcode_idle 1h;
    transcode_threads 16;
}
application other { segment 60s; window 180s; }
EOT

bad('two live{}', config("live { zone 8m; }\nlive { zone 8m; } #!"),
    '"live" directive is duplicate');
bad('live{} in http{}', config("http {\nlive { zone 8m; } #!\n}"),
    '"live" directive is not allowed here');
bad('live{} with an argument', config("live on { zone 8m; } #!"),
    'invalid number of arguments in "live"');
bad('an unknown directive in live{}', with_live("zone 8m;\nladder on; #!"),
    'unknown directive "ladder"');
bad('application outside live{}', config("application a { } #!"),
    '"application" directive is not allowed here');
bad('an application in an application',
    with_live("zone 8m;\napplication a {\napplication b { } #!\n}"),
    '"application" directive is not allowed here');

bad('no zone', config("live {\napplication a { }\n} #!"), 'no "zone" is set');
bad('zone too small', with_live('zone 4m; #!'), 'zone "4m" is too small');
bad('zone of a byte less than 8m', with_live('zone 8388607; #!'), 'too small');
bad('zone with junk', with_live('zone lots; #!'), 'invalid zone size "lots"');
bad('negative zone', with_live('zone -8m; #!'), 'invalid zone size "-8m"');
bad('zone past all numbers', with_live('zone 99999999999999g; #!'),
    'invalid zone size');
bad('zone twice', with_live("zone 8m;\nzone 16m; #!"),
    '"zone" directive is duplicate');
bad('zone in an application', with_live("application a {\nzone 8m; #!\n}"),
    '"zone" directive is not allowed here');
bad('zone without a size', with_live('zone; #!'),
    'invalid number of arguments in "zone"');

bad('an application without a name', with_live("zone 8m;\napplication { } #!"),
    'invalid number of arguments in "application"');
bad('an application with an empty name',
    with_live("zone 8m;\napplication \"\" { } #!"), 'application');
bad('an application with 65 characters',
    with_live("zone 8m;\napplication " . 'a' x 65 . ' { } #!'),
    'name of an application has 1 to 64');
good('an application with 64 characters',
     with_live("zone 8m;\napplication " . 'a' x 64 . ' { }'));

{
    my $text = with_live("zone 8m;\napplication a { }\napplication b { }\n"
                         . "application a { } #!");

    my @lines = split /\n/, $t->expand($text);
    my ($first) = grep { $lines[$_ - 1] =~ /application a/ } 1 .. @lines;

    bad('an application twice', $text,
        qr/duplicate application "a".*nginx_t\.conf:$first\b/);
}


# --- segment, window and the like ---------------------------------------------

for my $value (qw/ 0 499ms 61s 60001ms 1x -1s/) {
    bad("segment $value", with_live("zone 8m;\nsegment $value; #!"),
        qr/invalid segment duration "\Q$value\E"/);
}

bad('segment twice', with_live("zone 8m;\nsegment 2s;\nsegment 3s; #!"),
    '"segment" directive is duplicate');
bad('segment with an unknown parameter',
    with_live("zone 8m;\nsegment 2s min=1s; #!"), 'invalid parameter "min=1s"');

for my $value (qw/ 1s 2500ms 121s x 0/, '') {
    bad("segment 2s max=$value",
        with_live("zone 8m;\nsegment 2s max=$value; #!"),
        qr/invalid maximum "max=\Q$value\E"/);
}

good('segment 2s max=2s', with_live('zone 8m; segment 2s max=2s;'));
good('segment 60s max=120s',
     with_live('zone 8m; segment 60s max=120s; window 180s;'));

bad('a window of less than three segments',
    with_live("zone 8m;\napplication a {\nsegment 4s;\nwindow 11s;\n} #!"),
    '"window" of application "a" is 11000ms, less than three segments');
good('a window of three segments',
     with_live('zone 8m; application a { segment 4s; window 12s; }'));
bad('a window that an inherited segment makes too short',
    with_live("zone 8m;\nsegment 30s;\napplication a { } #!"),
    '"window" of application "a" is 60000ms');
good('an inherited window that is long enough',
     with_live('zone 8m; segment 30s; window 90s; application a { }'));
bad('a segment that makes an inherited window too short',
    with_live("zone 8m;\nwindow 10s;\napplication a { segment 4s; } #!"),
    '"window" of application "a" is 10000ms');

good('no parts', with_live('zone 8m; part 0; application a { }'));
good('parts of half a segment',
     with_live('zone 8m; segment 2s; part 1s; application a { }'));
good('the least segment has parts of half of it by default',
     with_live('zone 8m; application a { segment 500ms; }'));

for my $ms (1, 99, 2001, 4000) {
    bad("part ${ms}ms in segments of 4 s",
        with_live("zone 8m;\napplication a {\npart ${ms}ms;\n} #!"),
        qr/"part" of application "a" is ${ms}ms, it must be 0, or 100ms to /
        . '2000ms, half a segment');
}

bad('a part that an inherited segment makes too long',
    with_live("zone 8m;\nsegment 1s;\napplication a { part 501ms; } #!"),
    '"part" of application "a" is 501ms, it must be 0, or 100ms to 500ms');
bad('a segment that makes an inherited part too long',
    with_live("zone 8m;\npart 500ms;\napplication a { segment 900ms; } #!"),
    '"part" of application "a" is 500ms, it must be 0, or 100ms to 450ms');
bad('part without a time', with_live("zone 8m;\npart; #!"),
    'invalid number of arguments in "part"');

for my $name (qw/ part window resume publish_timeout publish_stall /) {
    bad("$name with junk", with_live("zone 8m;\n$name soon; #!"),
        qr/"$name" directive invalid value/);
    bad("$name twice", with_live("zone 8m;\n$name 60s;\n$name 61s; #!"),
        qr/"$name" directive is duplicate/);
}

bad('publish_conflict with junk',
    with_live("zone 8m;\npublish_conflict fight; #!"),
    'invalid value "fight"');
bad('publish_conflict with two values',
    with_live("zone 8m;\npublish_conflict refuse stalled; #!"),
    'invalid number of arguments in "publish_conflict"');
bad('publish_conflict twice',
    with_live("zone 8m;\npublish_conflict refuse;\n"
              . "publish_conflict stalled; #!"),
    '"publish_conflict" directive is duplicate');
bad('backup with junk', with_live("zone 8m;\nbackup second; #!"),
    'invalid value "second" in "backup" directive');
bad('backup twice', with_live("zone 8m;\nbackup on;\nbackup off; #!"),
    '"backup" directive is duplicate');
bad('backup where everybody takes over',
    with_live("zone 8m;\nbackup on;\napplication a {\n"
              . "publish_conflict takeover;\n} #!"),
    '"backup" of application "a" is of no use with '
    . '"publish_conflict takeover"');
good('takeover without the inherited backup',
     with_live('zone 8m; backup on; application a { '
               . 'publish_conflict takeover; backup off; }'));

bad('max_message of 4095', with_live("zone 8m;\nmax_message 4095; #!"),
    '"max_message" must be 4k to 16m');
bad('max_message over 16m', with_live("zone 8m;\nmax_message 16385k; #!"),
    '"max_message" must be 4k to 16m');
bad('max_message with junk', with_live("zone 8m;\nmax_message big; #!"),
    '"max_message" directive invalid value');


# --- live_rtmp ----------------------------------------------------------------

good('live_rtmp', with_stream($rtmp));
good('live_rtmp with the variables of a publisher in a log',
     with_stream('log_format live "$live_app $live_name $live_state '
                 . '$live_duration"; access_log logs/live.log live; '
                 . $rtmp));
bad('live_rtmp without live{}',
    with_stream("server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } #!", ''),
    '"live_rtmp" needs a "live" block');
bad('live_rtmp with an argument',
    with_stream("server { listen 127.0.0.1:%%PORT_1935%%;\nlive_rtmp on; #!\n}"),
    'invalid number of arguments in "live_rtmp"');
bad('live_rtmp in stream{} itself', with_stream("live_rtmp; #!"),
    '"live_rtmp" directive is not allowed here');
bad('live_rtmp twice in a server',
    with_stream("server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp;\n"
                . "live_rtmp; #!\n}"),
    '"live_rtmp" directive is duplicate');

for my $other ('return x;', 'proxy_pass 127.0.0.1:%%PORT_1936%%;') {
    my ($name) = $other =~ /^(\w+)/;

    bad("live_rtmp after $name",
        with_stream("server { listen 127.0.0.1:%%PORT_1935%%; $other\n"
                    . "live_rtmp; #!\n}"),
        '"live_rtmp" directive cannot be used here');
    bad("live_rtmp before $name",
        with_stream("server { listen 127.0.0.1:%%PORT_1935%%;\n"
                    . "live_rtmp; #!\n$other }"),
        '"live_rtmp" cannot be used together with another handler');
}


# --- live_play and live_api ---------------------------------------------------

good('live_play', with_http('location /live/ { live_play live; }'));
good('live_play with a variable', with_http('location /l/ { live_play $app; }'));
good('live_api with a variable', with_http('location /s { live_api $app; }'));
good('live_play off', with_http('location / { live_play off; }'));
good('live_play off below live_play',
     with_http('location /live/ { live_play live; '
               . 'location /live/no/ { live_play off; } }'));
good('live_play in a regular expression below a prefix',
     with_http('location /live/ { live_play live; '
               . 'location ~ m3u8$ { live_play live; } }'));
good('live_play in an if',
     with_http('location /live/ { live_play live; '
               . 'if ($arg_a) { live_play live; } }'));

for my $name (qw/ live_play live_api /) {
    bad("$name with an unknown application",
        with_http("location /live/ {\n$name nosuch; #!\n}"),
        qr/"$name" names the unknown application "nosuch"/);
    bad("$name with an empty application",
        with_http("location /live/ {\n$name \"\"; #!\n}"),
        qr/"$name" names the unknown application ""/);
    bad("$name with the begin of an application's name",
        with_http("location /live/ {\n$name liv; #!\n}"),
        qr/"$name" names the unknown application "liv"/);
    bad("$name with more than an application's name",
        with_http("location /live/ {\n$name lives; #!\n}"),
        qr/"$name" names the unknown application "lives"/);
    bad("$name without live{}",
        with_http("location /live/ {\n$name live; #!\n}", ''),
        qr/"$name" needs a "live" block/);
    bad("$name with a variable and without live{}",
        with_http("location /live/ {\n$name \$app; #!\n}", ''),
        qr/"$name" needs a "live" block/);
    bad("$name twice",
        with_http("location /live/ {\n$name live;\n$name live; #!\n}"),
        qr/"$name" directive is duplicate/);
    bad("$name without an application",
        with_http("location /live/ {\n$name; #!\n}"),
        qr/invalid number of arguments in "$name"/);
    bad("$name in a server",
        with_http("$name live; #!"), qr/"$name" directive is not allowed here/);
}

bad('live_play in a regular expression alone',
    with_http("location ~ m3u8\$ {\nlive_play live; #!\n}"),
    '"live_play" in a location without a prefix');
bad('live_play in a named location alone',
    with_http("location \@play {\nlive_play live; #!\n}"),
    '"live_play" in a location without a prefix');


# --- order and include files --------------------------------------------------

good('stream{} and http{} before live{}', config(<<"EOT"));
stream { $rtmp }
http {
    %%TEST_GLOBALS_HTTP%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play late; }
        location /streams { live_api late; }
    }
}
live { application late { } zone 8m; }
EOT

good('settings of live{} after the application', with_live(<<'EOT'));
application a { segment 4s; }
zone 8m;
EOT

$t->write_file('apps.conf', "application one { }\napplication two {\n"
                            . "    segment 1s;\n}\n");
$t->write_file('more.conf', "application three { }\n\napplication one { }\n");
$t->write_file('zero.conf', "# nothing\nsegment 0;\n");
$t->write_file('play.conf', "\nlocation /p/ { live_play four; }\n");

good('applications from a file',
     with_http('location /live/ { live_play two; }',
               'live { zone 8m; include %%DIR%%/apps.conf; }'));
bad('a wrong setting in a file',
    with_live("zone 8m;\napplication a { include %%DIR%%/zero.conf; }"),
    'invalid segment duration "0"', 'zero.conf:2');
bad('an application again in another file',
    with_live("zone 8m;\ninclude %%DIR%%/apps.conf;\ninclude %%DIR%%/more.conf;"),
    qr/duplicate application "one".*apps\.conf:1\b/, 'more.conf:3');
bad('an unknown application in a file',
    with_http('include %%DIR%%/play.conf;'),
    '"live_play" names the unknown application "four"', 'play.conf:2');


# --- what is inherited, as it shows -------------------------------------------

$t->write_file_expand('nginx.conf', <<'EOT');
%%TEST_GLOBALS%%
events { }
live {
    zone 64m;
    application plain { }                       # before what it inherits
    application own { segment 2s; part 0; resume 1h; max_message 16m; }
    application most { segment 2s max=3s; part 1s; resume 1h; max_message 1m; }
    application quiet { publish_timeout 1s; max_message 1m; }
    application small { max_message 4k; }
}
stream {
    log_format live '$live_app/$live_name $live_state $live_duration '
                    '$bytes_received';
    access_log %%DIR%%/live.log live;
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}
http {
    %%TEST_GLOBALS_HTTP%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ {
            live_play $arg_app;
            location /live/off/ { live_play off; }
            location ~ audio { add_header X-Nested yes; }
        }
        location = /streams { live_api $arg_app; }
    }
}
EOT

# live{} may say it before or after the applications
{
    my $text = $t->read_file('nginx.conf');

    $text =~ s/(zone 64m;)/$1 segment 1s max=20s; window 10s; resume 500ms;
                              part 200ms;/;
    $t->write_file('nginx.conf', $text);
}

$t->run();

my %clip = (seconds => 3, gop => 30);

for my $app (qw/ plain own most /) {
    my $pid = $t->ffmpeg_publish("$app/s", clip => \%clip, realtime => 0);

    is($t->wait_exit($pid, 30), 0, "$app takes a publisher")
        or diag($t->output($pid));
}

my $small = $t->ffmpeg_publish('small/s', clip => \%clip, realtime => 0);
my $quiet = $t->ffmpeg_publish('quiet/s', clip => \%clip, loop => -1);

sub playlist {
    my ($app, $rendition) = @_;

    return $t->get('/live/s/' . ($rendition // 'source')
                   . "/playlist.m3u8?app=$app");
}

like(playlist('plain')->{body}, qr/^#EXT-X-TARGETDURATION:20$/m,
     'segment and its max= are inherited');
like(playlist('own')->{body}, qr/^#EXT-X-TARGETDURATION:10$/m,
     'a max= belongs to its segment and is not inherited without it');
like(playlist('most')->{body}, qr/^#EXT-X-TARGETDURATION:3$/m,
     'an application\'s max= holds (HLS-8)');

like(playlist('most')->{body}, qr/^#EXT-X-PART-INF:PART-TARGET=1\.022$/m,
     'a part of its own');
unlike(playlist('own')->{body}, qr/^#EXT-X-(?:PART|SERVER-CONTROL)/m,
       'part 0: no low latency');

is(() = playlist('plain')->{body} =~ /^#EXTINF/mg, 3, 'segment 1s inherited');
is(() = playlist('own')->{body} =~ /^#EXTINF/mg, 2, 'segment 2s of its own');

ok($t->wait_for(sub { playlist('plain')->{body} =~ /^#EXT-X-ENDLIST$/m }, 20,
                'ENDLIST'), 'resume is inherited');
unlike(playlist('own')->{body}, qr/ENDLIST/, 'resume of its own');

ok(defined $t->wait_exit($small, 30), 'the publisher over max_message ends');
ok($t->wait_for(sub { $t->log(qr/RTMP ends: .*message/i) }, 20, 'log line'),
   'max_message 4k refuses a key frame (RTMP-28)');

ok($t->wait_for(sub { playlist('quiet')->{body} =~ /EXTINF/ }, 20, 'segment'),
   'the stream with publish_timeout is live');
like(playlist('quiet')->{body}, qr/^#EXT-X-PART-INF:PART-TARGET=0\.222$/m,
     'part is inherited (HLS-50)');
kill 'STOP', $quiet;
ok($t->wait_for(sub { $t->log(qr/nothing came from the publisher for 1000ms/) },
                20, 'timeout'), 'publish_timeout 1s of its own holds');
$t->end($quiet, 'KILL');

ok($t->wait_for(sub { ($t->read_file('live.log') // '') =~ m{^quiet/s}m }, 10,
                'access log'), 'a publisher is logged at its end');

{
    my $log = $t->read_file('live.log');

    like($log, qr{^plain/s finished \d+\.\d{3} \d{5,}$}m,
         '$live_app $live_name $live_state $live_duration of a good end');
    like($log, qr{^quiet/s timeout \d+\.\d{3} \d+$}m, '$live_state timeout');
    like($log, qr{^small/s failed \d+\.\d{3} \d+$}m, '$live_state failed');
}

is($t->get('/live/off/source/playlist.m3u8?app=own')->{status}, 404,
   'live_play off');
is($t->get('/live/off/source/playlist.m3u8?app=own')->{headers}
     {'access-control-allow-origin'}, undef, 'live_play off: not ours');
is(playlist('own', 'audio')->{headers}{'x-nested'}, 'yes',
   'a nested location goes on serving with its own add_header');
like($t->get('/streams?app=most')->{body},
     qr/"application":"most","name":"s","state":"away"/, 'live_api lists it');
is($t->get('/streams?app=nosuch')->{body}, qq({"streams":[],"total":0,"offset":0}\n),
   'live_api of an unknown application by a variable: an empty list');
is(playlist('nosuch')->{status}, 404,
   'live_play of an unknown application by a variable: 404');

done_testing();
