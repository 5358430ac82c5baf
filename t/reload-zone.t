#!/usr/bin/perl

# A reload that asks for another zone size, or for more workers than the zone has
# places for, is refused, and nothing changes.

use strict;
use warnings;

use Test::More;
use Test::Live;

my $t = Test::Live->new();

my $conf = <<'EOC';
%%TEST_GLOBALS%%

events { }

live {
    zone ZONE;
    application live { segment 1s; window 10s; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
    }
}
EOC

$t->allow_log(qr/"zone" cannot change from/);
$t->write_file_expand('nginx.conf', $conf =~ s/zone ZONE/zone 32m/r);
$t->run();

$t->ffmpeg_publish('live/size', clip => { seconds => 6 }, loop => -1);
$t->wait_for(sub { $t->get('/live/size/playlist.m3u8')->{status} == 200 }, 20,
             'a playlist');

$t->write_file_expand('nginx.conf', $conf =~ s/zone ZONE/zone 64m/r);
kill 'HUP', $t->master();

my $message = qr/"zone" cannot change from 33554432 to 67108864 bytes/;

ok($t->wait_for(sub { $t->log() =~ $message }, 10, 'a log line'),
   'another size is refused with both sizes');

is($t->get('/live/size/playlist.m3u8')->{status}, 200,
   'the stream is there as before (invariant 8)');

# Nor may there be more workers than have a place: those of now go on until
# their publishers have gone.

$t->allow_log(qr/"worker_processes" cannot be/);
$t->write_file_expand('nginx.conf', "worker_processes 65;\n"
                                    . $conf =~ s/zone ZONE/zone 32m/r);
ok($t->reload(), '65 workers beside 1');

my $mark = length $t->log();

$t->write_file_expand('nginx.conf', "worker_processes 64;\n"
                                    . $conf =~ s/zone ZONE/zone 32m/r);
ok(!$t->reload(), '64 workers beside them are too many');
like(substr($t->log(), $mark),
     qr/"worker_processes" cannot be 64: .* 128 workers, of which 6[56] are taken/,
     'and the log says why');
is($t->workers(), 65, 'those of before stay');
is($t->get('/live/size/playlist.m3u8')->{status}, 200, 'and serve the stream');

my ($code, $output) = $t->nginx_t("worker_processes 129;\n"
                                  . $conf =~ s/zone ZONE/zone 32m/r);

is($code, 1, 'more than there are places for altogether are no configuration');
like($output, qr/cannot be 129: .* 128 workers/, 'which is said as well');

done_testing();
