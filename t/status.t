#!/usr/bin/env perl

# live_status: XML that scripts for nginx-rtmp's stat read as they did, and JSON
# with the same and more; the same on every worker.

# asan

use strict;
use warnings;

use JSON::PP;
use Test::Live;
use Test::Live::Feed;
use Test::Live::RTMP;
use Test::More;

my $t = Test::Live->new();

my $conf = <<'CONF';
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 64m;
    segment 1s max=3s;
    window 10s;
    resume 1h;

    application live { }
    application "q\"<&\xff" { }
    application unused { }
}

stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location = /stat { live_status json; }
        location = /stat.json { live_status json; }
        location = /stat.xml { live_status xml; }
        location = /metrics { live_metrics; }
        location /streams { live_api live; }
        #MORE
    }
}
CONF

$conf =~ s/\\xff/\xff/;

$t->write_file_expand('nginx.conf', $conf);

directives();

my $clip = $t->clip(seconds => 6, gop => 30, fps => 30);
my $tags = Test::Live::RTMP::flv_tags($clip);

$t->run();

none();

my $feed = Test::Live::Feed->new(start('live', 'a'), $tags);

# what the last second and the last ten seconds say is there, while it goes on
my $seen;

Test::Live::Feed::run(30, sub {
    my $s = $seen = stream('a') or return 0;
    my $video = $s->{tracks}[0] or return 0;
    return $video->{frame_rate} > 20 && $video->{segments} > 2
           && $s->{bitrate} > 0;
}, $feed);

xml();
json();
odd();
gone();

done_testing();


sub start {
    my ($app, $name) = @_;

    return Test::Live::RTMP->start(port => $t->port(1935), app => $app,
                                   name => $name);
}


sub stream {
    my ($name) = @_;

    my $status = decode_json($t->get('/stat.json')->{body});

    return (grep { $_->{name} eq $name } @{ $status->{streams} })[0];
}


# What xmllint finds, or what it says.
sub xpath {
    my ($path, $file) = @_;

    my $xml = $t->write_file('stat.xml', $t->get('/stat.xml')->{body});
    my ($code, $output) = $t->command('xmllint', '--xpath', $path, $xml);

    chomp $output;

    return $output;
}


# --- the configuration --------------------------------------------------------

sub directives {
    for my $case (['live_status html', qr/invalid parameter "html"/],
                  ['live_status json play=/x', qr/are for the page/],
                  ["live_status;\nlive_status", qr/"live_status" .*duplicate/],
                  ['live_status json xml', qr/invalid parameter "xml"/],
                  ['live_metrics streams=0', qr/invalid parameter "streams=0"/],
                  ['live_metrics streams=x', qr/invalid parameter "streams=x"/],
                  ['live_metrics all', qr/invalid parameter "all"/],
                  ["live_metrics;\nlive_metrics", qr/"live_metrics" .*dupl/])
    {
        my ($line, $error) = @$case;
        my $text = $conf =~ s/#MORE/location = \/x {\n$line;\n}/r;
        my ($code, $output) = $t->nginx_t($text);

        $line =~ s/\n/ /;
        isnt($code, 0, "refused: $line");
        like($output, $error, "and why: $line");
    }

    for my $line ('live_status', 'live_metrics') {
        my $text = $conf =~ s/^live \{.*?^\}//msr;

        $text =~ s/^stream .*//m;
        $text =~ s/^ *location.*//mg;
        $text =~ s/#MORE/location = \/x { $line; }/;

        my ($code, $output) = $t->nginx_t($text);

        like($output, qr/"$line" needs a "live" block/,
             "$line without live{}");
    }
}


# --- XML ----------------------------------------------------------------------

sub none {
    my $r = $t->get('/stat.xml');

    is($r->{status}, 200, 'status 200');
    is($r->{headers}{'content-type'}, 'text/xml', 'as XML');
    is($r->{headers}{'cache-control'}, 'no-store', 'not to be stored');
    is(xpath('count(/rtmp/server/application)'), 3, 'all applications');
    is(xpath('count(//stream)'), 0, 'no streams');
    is($t->get('/stat', method => 'HEAD')->{status}, 200, 'HEAD');
    is($t->get('/stat', method => 'POST')->{status}, 405, 'POST: 405');
    is($t->get('/stat')->{headers}{'content-type'}, 'application/json',
       'JSON where nothing else is said');
}


sub xml {
    my $xml = $t->write_file('all.xml', $t->get('/stat.xml')->{body});
    my ($code, $output) = $t->command('xmllint', '--noout', $xml);

    is($code, 0, 'well-formed') or diag($output);

    my $live = "/rtmp/server/application[name='live']/live";
    my $a = "$live/stream[name='a']";
    my $string = sub { xpath("string($a/$_[0])") };

    is(xpath("count($live/stream)"), 1, 'one stream');
    is($string->('meta/video/codec'), 'H264', 'codec of video');
    is($string->('meta/video/frame_rate'), 30, 'its frame rate');
    like($string->('meta/video/profile'), qr/^(Baseline|Main|High)/, 'profile');
    like($string->('meta/video/level'), qr/^\d\.\d$/, 'level');
    is($string->('meta/audio/codec'), 'AAC', 'codec of audio');
    is($string->('meta/audio/profile'), 'LC', 'its profile');
    is($string->('meta/audio/sample_rate'), 48000, 'its sampling rate');
    is($string->('meta/audio/channels'), 2, 'its channels');

    # as ffprobe has it

    my (undef, $output_of_ffprobe) = $t->command('ffprobe', '-v', 'error',
        '-select_streams', 'v', '-show_entries', 'stream=width,height',
        '-of', 'csv=p=0', $clip);
    my ($probe) = $output_of_ffprobe =~ /^(\d+,\d+)/m;

    is($string->('meta/video/width') . ','
       . $string->('meta/video/height'), $probe, 'its size');

    cmp_ok($string->('bw_in'), '>', 1000, 'bit/s in');
    cmp_ok($string->('bw_in'), '<', 5_000_000, 'and not too many');
    cmp_ok($string->('bw_video'), '>', 0, 'of video');
    cmp_ok($string->('bw_audio'), '>', 0, 'of audio');
    cmp_ok($string->('bytes_in'), '>', 10_000, 'bytes in');
    cmp_ok($string->('time'), '>', 1000, 'time in ms');
    is($string->('nclients'), 1, 'clients');
    is(xpath("count($a/publishing)"), 1, 'publishing');
    is(xpath("count($a/client[publishing])"), 1, 'by a client');
    is($string->('client/address'), '127.0.0.1', 'its address');
    is(xpath("string($live/nclients)"), 1, 'clients of the application');
    like(xpath('string(/rtmp/uptime)'), qr/^\d+$/, 'uptime');
    is(xpath('string(/rtmp/naccepted)'), 1, 'publications');
}


# --- JSON ---------------------------------------------------------------------

sub json {
    my $s = stream('a');
    my ($video) = grep { $_->{media} eq 'video' } @{ $s->{tracks} };
    my ($audio) = grep { $_->{media} eq 'audio' } @{ $s->{tracks} };

    is($s->{state}, 'live', 'live');
    is($s->{publisher}{address}, '127.0.0.1', 'its publisher');
    ok(!$s->{publisher}{standby}, 'nobody stands by');
    is($video->{rendition}, 'source', 'the rendition');
    is($video->{key_frame_interval}, 1, 'key frames');
    is($video->{nominal_frame_rate}, 30, 'the frame rate as announced');
    cmp_ok($seen->{tracks}[0]{frame_rate}, '>', 20, 'as measured');
    cmp_ok($video->{segments}, '>', 1, 'segments');
    cmp_ok($video->{parts}, '>', $video->{segments}, 'parts');
    is($audio->{channels}, 2, 'channels');
    like($s->{tracks}[0]{lateness}, qr/^\d(?:\.\d+)?$/, 'lateness');
    is($s->{transcoder}{renditions}, 0, 'nothing is transcoded');

    # all workers say the same, and so do live_api and the metrics

    my ($api) = @{ decode_json($t->get('/streams')->{body})->{streams} };

    is($api->{video}{codec}, $video->{codec}, 'live_api: the same codec');
    is($api->{video}{width}, $video->{width}, 'and size');

    # and what it tells of one

    my $one = decode_json($t->get('/streams/a')->{body});
    my ($source) = grep { $_->{name} eq 'source' } @{ $one->{renditions} };

    cmp_ok($source->{frames}, '>=', $video->{frames}, 'live_api: frames');
    is($source->{key_frame_interval}, 1, 'key frames');

    my $server = decode_json($t->get('/stat.json')->{body})->{server};

    like($server->{uptime}, qr{^\d{1,4}\.\d{3}$}, 'for how long it runs');
    is($server->{active_streams}, 1, 'active streams');
    is($server->{workers}, 2, 'workers');

    my %pids;

    ok($t->poll(sub {
           my $status = decode_json($t->get('/stat.json')->{body});

           $pids{ $status->{server}{pid} } ||= $status->{streams}[0]{state};
           return keys %pids == 2;
       }, 20), 'both workers answer');
    is_deeply([ values %pids ], [ 'live', 'live' ], 'and know the stream');
}


# --- names, and the end -------------------------------------------------------

sub odd {
    my $client = start("q\"<&\xff", 'odd.name');

    $client->send_tags([ grep { $_->{type} != 18 } @$tags ]);

    ok($t->wait_for(sub { $t->get('/stat.xml')->{body} =~ /odd\.name/ }, 10,
                    'stream'), 'it is there');

    my $xml = $t->write_file('odd.xml', $t->get('/stat.xml')->{body});
    my ($code, $output) = $t->command('xmllint', '--noout', $xml);

    is($code, 0, 'an odd name is well-formed') or diag($output);
    is(xpath("string(//application[live/stream/name='odd.name']/name)"), 'q"<&',
       'and escaped');

    $client->close();
}


sub gone {
    $feed->client()->stop('a');

    ok($t->wait_for(sub { (stream('a') || {})->{state} eq 'away' }, 10, 'end'),
       'away');

    my $s = stream('a');

    ok(!exists $s->{publisher}, 'without a publisher');
    is($s->{uptime}, 0, 'and uptime');
    is(xpath("count(//stream[name='a'])"), 1, 'XML has it');
    is(xpath("count(//stream[name='a']/publishing)"), 0, 'not publishing');
    is(xpath("count(//stream[name='a']/client)"), 0, 'without a client');

    ok($t->poll(sub { (stream('a') || {})->{bitrate} == 0 }, 10),
       'its bit rate falls to 0');
}
