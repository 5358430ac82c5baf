#!/usr/bin/env perl

# What nginx's stream modules do for the RTMP listener: TLS, the PROXY
# protocol, access rules, limits, logs (RTMP-15, RTMP-125, RTMP-129).

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time /;

use constant RTMP => 'Test::Live::RTMP';

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
events { }

live {
    zone 64m;
    segment 2s;
    resume 60s;

    application live { publish_timeout 1s; }
}

stream {
    log_format live '$remote_addr|$server_port|$live_app|$live_name|'
                    '$live_state|$live_duration|$bytes_received|$status|'
                    '$proxy_protocol_addr|$session_time|';
    access_log %%DIR%%/stream.log live;

    limit_conn_zone $binary_remote_addr zone=addresses:64k;

    server {
        listen 127.0.0.1:%%PORT_1935%%;
        live_rtmp;
    }

    server {
        listen 127.0.0.1:%%PORT_1936%% ssl;
        ssl_certificate %%DIR%%/cert.pem;
        ssl_certificate_key %%DIR%%/key.pem;
        live_rtmp;
    }

    server {
        listen 127.0.0.1:%%PORT_1937%% proxy_protocol;
        set_real_ip_from 127.0.0.1;
        live_rtmp;
    }

    server {
        listen 127.0.0.1:%%PORT_1938%%;
        allow 127.0.0.2;
        deny all;
        live_rtmp;
    }

    server {
        listen 127.0.0.1:%%PORT_1939%%;
        limit_conn addresses 1;
        live_rtmp;
    }

    server {
        listen 127.0.0.1:%%PORT_1940%%;
        ssl_preread on;
        live_rtmp;
    }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location = /streams { live_api live; }
    }
}
CONF

my ($code, $output) = $t->command(qw/ openssl req -x509 -newkey rsa:2048
    -nodes -days 30 -subj \/CN=localhost /, '-keyout', $t->dir() . '/key.pem',
    '-out', $t->dir() . '/cert.pem');
die $output if $code;

my $clip = $t->clip(seconds => 4, gop => 30);
my $tags = RTMP->can('flv_tags')->($clip);

# what each client has written
{
    no warnings 'redefine';
    my $write = \&Test::Live::RTMP::write_bytes;

    *Test::Live::RTMP::write_bytes = sub {
        $_[0]{written} += length $_[1];
        goto $write;
    };
}

$t->run();

my $ffmpeg = $t->ffmpeg_publish('rtmps://127.0.0.1:' . $t->port(1936)
                                . '/live/tls', clip => $clip);

states();
preread();
proxy_protocol();
access_rules();
limits();
tls();

done_testing();


sub states {
    my ($before, $began, $ending, $ended);

    $before = time();
    my $c = start('finished');
    $began = time();

    $c->send_tags($tags);
    my $entry = $t->wait_for(sub { streams()->{finished} }, 5, 'stream');
    is($entry, 'live', 'live_api lists it as live');

    $ending = time();
    finish($c);
    $ended = time();

    my $line = access('finished');

    is($line->{address}, '127.0.0.1', '$remote_addr');
    is($line->{app}, 'live', '$live_app');
    is($line->{name}, 'finished', '$live_name');
    is($line->{state}, 'finished', '$live_state after FCUnpublish');
    is($line->{received}, $c->{written}, '$bytes_received is what was sent');
    is($line->{status}, 200, '$status');
    like($line->{duration}, qr/^\d+\.\d{3}$/, '$live_duration in s and ms');
    cmp_ok($line->{duration}, '>=', $ending - $began - 0.2,
           '$live_duration is not shorter than the publication');
    cmp_ok($line->{duration}, '<=', $ended - $before + 0.2,
           '$live_duration is not longer than the publication');
    is(streams()->{finished}, 'away', 'live_api tells that it went away');
    is_published('finished', 'a plain listener');

    $c = start('lost');
    $c->send_tags($tags);
    $c->close();
    is(access('lost')->{state}, 'lost', '$live_state of a connection lost');
    is(access('lost')->{received}, $c->{written}, 'with the bytes it sent');

    $c = start('failed');
    $c->message(1, pack('N', 0), csid => 2);
    ok($c->is_closed(), 'an error of the protocol closes');
    is(access('failed')->{state}, 'failed', '$live_state of an error');

    $c = start('silent');
    ok($c->is_closed(), 'publish_timeout closes');
    is(access('silent')->{state}, 'timeout', '$live_state of silence');
    is(scalar(() = $t->log(
           qr{nothing came from the publisher for 1000ms.*"live/silent"})), 1,
       'with its log line');

    # before anything is published there is no application and no name
    my $mark = length($t->read_file('stream.log'));

    $c = RTMP->new(port => $t->port(1935));
    $c->handshake();
    $c->connect('live');
    $c->close();

    $line = $t->wait_for(sub { access_after($mark) }, 5, 'access log line');
    is("$line->{app} $line->{name} $line->{state} $line->{duration}",
       '- - connected -', 'variables before publish');
    is($line->{received}, $c->{written}, '$bytes_received without publish');

    $mark = length($t->read_file('stream.log'));
    $c = RTMP->new(port => $t->port(1935));
    $c->handshake();
    $c->connect('live');
    $c->publish('.not/good');
    ok($c->is_closed(), 'a bad name closes');
    $c->close();
    $line = $t->wait_for(sub { access_after($mark) }, 5, 'access log line');
    is("$line->{name} $line->{state}", '- refused',
       'no name of a peer gets to the log');
}


# What the preread phase has read is not lost (c->buffer).
sub preread {
    for my $first (10, 1000, 1537, 3073, 3100, 1e6) {
        my $name = "preread-$first";
        my $c = RTMP->new(port => $t->port(1940));

        # the whole set-up at once: C0 to C2, connect, createStream, publish
        my $bytes = "\x03" . "\0" x 1536 . 'x' x 1536
            . $c->chunks(20, amf('connect', 1, { app => 'live' }))
            . $c->chunks(20, amf('createStream', 2, undef))
            . $c->chunks(20, amf('publish', 3, undef, $name), msid => 1,
                         csid => 8);

        $c->write_bytes(substr $bytes, 0, $first, '');

        # the server has had to read what came so far
        if ($first >= 1537) {
            $c->{deadline} = time() + 10;
            ok($c->fill(1), "preread, $first bytes first: S0 comes");
        }

        $c->write_bytes($bytes);

        $c->{deadline} = time() + 10;
        $c->fill(3073);
        $c->take(3073);
        is($c->result(1)->[3]{code}, 'NetConnection.Connect.Success',
           "preread, $first bytes first: connect");
        is($c->status()->{code}, 'NetStream.Publish.Start',
           "preread, $first bytes first: publish");

        $c->set_chunk_size(4096);
        $c->send_tags($tags);
        finish($c);

        is_published($name, "preread, $first bytes first");
        is(access($name)->{received}, $c->{written},
           "preread, $first bytes first: each byte is counted once");
    }
}


sub proxy_protocol {
    my $header = "PROXY TCP4 203.0.113.7 192.0.2.1 12345 1935\r\n";

    for my $together (0, 1) {
        my $name = "proxy-$together";
        my $c = RTMP->new(port => $t->port(1937));

        if ($together) {
            $c->write_bytes($header . "\x03" . "\0" x 1536 . 'x' x 1536);
            $c->{deadline} = time() + 10;
            $c->fill(3073);
            $c->take(3073);

        } else {
            $c->write_bytes($header);
            $c->handshake();
        }

        $c->connect('live');
        is($c->publish($name)->{code}, 'NetStream.Publish.Start',
           'publish behind a PROXY header (RTMP-15)');
        $c->set_chunk_size(4096);
        $c->send_tags($tags);
        finish($c);

        is_published($name, 'behind a PROXY header');

        my $line = access($name);

        is($line->{proxy}, '203.0.113.7', 'its address is in the access log');
        is($line->{address}, '203.0.113.7', 'and the one of the client');
        is($line->{received}, $c->{written} - length $header,
           'the header is not counted');
        is(scalar(() = $t->log(qr{publishing\ begins\ .*client:\ 203\.0\.113
                                  \.7,.*"live/$name"}x)), 1,
           'and in the error log');
    }

    my $c = RTMP->new(port => $t->port(1937));

    $c->write_bytes("\x03" . "\0" x 1536);
    ok($c->is_closed(), 'RTMP without the header is refused (RTMP-15)');
}


sub access_rules {
    my $c = RTMP->new(port => $t->port(1938));

    $c->write_bytes("\x03" . "\0" x 1536);
    ok($c->is_closed(), 'a denied address is closed');
    is($c->{in}, '', 'before it gets an answer');
    is(scalar(() = $t->log(qr/access forbidden by rule/)), 1,
       'with the reason in the log');

    $c = start('allowed', port => $t->port(1938), source => '127.0.0.2');
    $c->send_tags($tags);
    finish($c);
    is_published('allowed', 'an allowed address');
    is(access('allowed')->{address}, '127.0.0.2', 'whose address is logged');
}


sub limits {
    my $first = start('limit-1', port => $t->port(1939));
    my $second = RTMP->new(port => $t->port(1939));

    $second->write_bytes("\x03" . "\0" x 1536);
    ok($second->is_closed(), 'a connection above limit_conn is closed');
    is($second->{in}, '', 'before it gets an answer');
    is(scalar(() = $t->log(qr/limiting connections by zone "addresses"/)), 1,
       'with the reason in the log');

    $first->send_tags($tags);
    finish($first);
    is_published('limit-1', 'the first connection');

    my $third = start('limit-2', port => $t->port(1939));

    pass('an ended connection no longer counts');
    finish($third);
}


sub tls {
    is($t->wait_exit($ffmpeg, 30), 0, 'ffmpeg publishes over TLS (RTMP-129)')
        or diag($t->output($ffmpeg));

    my $line = access('tls');

    is($line->{port}, $t->port(1936), 'to the port with TLS');
    is($line->{state}, 'finished', 'and says good-bye');
    cmp_ok($line->{duration}, '>', 3, 'after the length of its clip');
    cmp_ok($line->{duration}, '<=', $line->{session} + 0.1,
           'within the connection');
    is_published('tls', 'TLS');

    my $c = RTMP->new(port => $t->port(1936));

    $c->write_bytes("\x03" . "\0" x 1536);
    ok($c->is_closed(), 'plain RTMP on the port with TLS is closed');
}


# --- tools --------------------------------------------------------------------

sub amf { return RTMP->can('amf0')->(@_) }


sub start {
    my ($name, %option) = @_;

    return RTMP->start(port => $t->port(1935), app => 'live', name => $name,
                       %option);
}


sub finish {
    my ($c) = @_;

    $c->command('deleteStream', undef, $c->{msid});

    my $info = $c->status();

    is($info && $info->{code}, 'NetStream.Unpublish.Success',
       'a publication ends in order') or diag($c->error());
    $c->close();
}


# The states that live_api tells, by name.
sub streams {
    my %states;

    my $body = $t->get('/streams')->{body};

    $states{$1} = $2 while $body =~ /"name":"([^"]+)","state":"(\w+)"/g;

    return \%states;
}


# The line of the access log that names a stream.
sub access {
    my ($name) = @_;

    my $found = $t->wait_for(sub {
        my ($line) = grep { $_->{name} eq $name } access_lines(0);

        return $line;
    }, 10, "access log line of $name");

    return $found || { map { $_ => '' } qw/ address port app state / };
}


sub access_after {
    my ($mark) = @_;

    return (access_lines($mark))[0];
}


sub access_lines {
    my ($mark) = @_;

    my @fields = qw/ address port app name state duration received status
                     proxy session /;

    return map {
        my %line;
        @line{@fields} = split /\|/;
        \%line;
    } split /\n/, substr $t->read_file('stream.log') // '', $mark;
}


sub frames {
    my ($name) = @_;

    my $response = $t->get("/live/$name/source/playlist.m3u8");

    return () if $response->{status} != 200;

    my $playlist = Test::Live::M3U8->parse($response->{body});

    return map { md5_hex($_->{data}) }
           map { @{ Test::Live::MP4->segment(
                        $t->get("/live/$name/source/$_->{uri}")->{body}
                    )->{samples} } }
           grep { !$_->{gap} } @{ $playlist->{segments} };
}


sub is_published {
    my ($name, $what) = @_;

    my @sent = map { md5_hex(substr $_->{payload}, 5) }
               grep { $_->{type} == 9 && $_->{payload} =~ /\A.\x01/s } @$tags;

    is_deeply([ frames($name) ], \@sent, "$what: frames are byte-exact");
}
