#!/usr/bin/env perl

# What one publisher may take, and what happens beyond it: the handshake and
# the way to a publish, chunk streams, AMF (RTMP-14, RTMP-28, RTMP-29, RTMP-50,
# RTMP-120, RTMP-121), publications, bit rate, key frames.  Each limit lets
# through what is within it.

# asan

use strict;
use warnings;

use Test::Live;
use Test::Live::RTMP;
use Test::More;

use constant RTMP => 'Test::Live::RTMP';

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 64m;
    segment 1s;
    window 20s;

    application live { }
    application few { max_publications 2; publish_stall 500ms; }
    application one { max_publications 1; }
    application each { max_publications off per_address=1; }
    application pair { max_publications 1 per_address=1; backup on; }
    application both { max_publications 2 per_address=1; }
    application slow { max_bitrate 400k window=1s; }
    application burst { max_bitrate 400k window=10m; }
    application keys { max_gop 1s; }
}

stream {
    log_format live '$connection|$live_state|';
    access_log %%DIR%%/stream.log live;
    limit_conn_zone $binary_remote_addr zone=addresses:64k;

    server { listen 127.0.0.1:%%PORT_1935%% reuseport; live_rtmp; }

    server {
        listen 127.0.0.1:%%PORT_1936%%;
        live_handshake_timeout 700ms;
        live_connect_timeout 2s;
        live_rtmp;
    }

    server {
        listen 127.0.0.1:%%PORT_1937%%;
        live_max_chunk_streams 8;
        live_max_amf_size 4k;
        live_max_amf_depth 4;
        live_max_setup_size 8k;
        live_max_setup_messages 10;
        live_rtmp;
    }

    server {
        listen 127.0.0.1:%%PORT_1938%% proxy_protocol;
        set_real_ip_from 127.0.0.1;
        live_rtmp;
    }

    server {
        listen 127.0.0.1:%%PORT_1939%%;
        limit_conn addresses 1;
        live_rtmp;
    }
}
CONF

my $tags = RTMP->can('flv_tags')->($t->clip(seconds => 4, gop => 30));
my $rare = RTMP->can('flv_tags')->($t->clip(seconds => 4, gop => 60));

$t->run();

my @workers = $t->workers();

timeouts();
chunk_streams();
amf();
setup();
connections();
publications();
addresses();
networks();
bitrate();
key_frames();
dead_worker();

done_testing();


# --- before a publish ---------------------------------------------------------

sub timeouts {
    my $port = $t->port(1936);
    my $silent = RTMP->new(port => $port);
    my $slow = RTMP->new(port => $port);
    my $idle = RTMP->new(port => $port);
    my $drip = RTMP->new(port => $port);
    my $c = RTMP->start(port => $port, app => 'live', name => 'patient');

    $idle->handshake();
    $idle->connect('live');
    $drip->handshake();

    my $bytes = "\x03" . "\0" x 3072;

    $t->wait_for(sub {
        $slow->write_bytes(substr $bytes, 0, 1, '') unless $slow->{closed};
        $slow->is_closed(0.02);
    }, 10, 'end of a slow handshake');

    ok($slow->{closed}, 'a byte now and then is no handshake (RTMP-121)');
    ok($silent->is_closed(10), 'nor is none (RTMP-14)');

    for ($slow, $silent) {
        like(lines_of($_), qr/did not complete the handshake within 700ms/,
             'the log says so');
    }

    my $call = small(20, RTMP->can('amf0')->('connect', 1,
                                              { app => 'x' x 3000 }));

    $t->wait_for(sub {
        $drip->write_bytes(substr $call, 0, 1, '') unless $drip->{closed};
        $drip->is_closed(0.05);
    }, 20, 'end of a slow connect');

    ok($drip->{closed}, 'a slow connect is closed (RTMP-121)');
    ok($idle->is_closed(10), 'so is who does not publish');

    for ($drip, $idle) {
        like(lines_of($_), qr/did not publish within 2000ms/,
             'the log says so');
    }

    # who publishes has all the time that publish_timeout gives
    ok(alive($c), 'a publisher stays');
    $c->command('deleteStream', undef, 1);
    is($c->status()->{code}, 'NetStream.Unpublish.Success', 'until it stops');
    ok($c->is_closed(10), 'then it has as long again');
    is(state_of($c), 'timeout', 'that is in the access log');
}


sub chunk_streams {
    my $c = small_client('chunks');

    # 3 and 8 for commands, 2 for control, and five more
    $c->write_bytes(message(99, 'x', csid => 20 + $_)) for 1 .. 5;
    ok(alive($c), 'eight chunk streams (RTMP-29)');
    $c->write_bytes(message(99, 'x', csid => 30));
    ends($c, qr/RTMP ends: chunk: too many chunk streams/,
         'nine chunk streams');
}


sub amf {
    my $c = small_client('amf');

    $c->write_bytes(message(18, 'x' x 4096, csid => 8));
    ok(alive($c), 'AMF of 4096 bytes (RTMP-28)');
    $c->write_bytes(message(18, 'x' x 4097, csid => 8));
    ends($c, qr/message of type 18 has 4097 bytes, the limit is 4096/,
         'AMF of 4097 bytes');

    for my $depth (4, 5) {
        my $value = 1;

        $value = { a => $value } for 2 .. $depth;

        $c = RTMP->new(port => $t->port(1937));
        $c->handshake();

        if ($depth == 4) {
            is($c->connect('live', deep => $value)->[3]{code},
               'NetConnection.Connect.Success', "$depth levels (RTMP-50)");
            $c->close();

        } else {
            $c->command('connect', { app => 'live', deep => $value });
            ends($c, qr/malformed connect: objects in objects, more than 4 /,
                 "$depth levels");
        }
    }

    # metadata are advisory: what is too deep in them is passed over
    $c = small_client('deep');
    $c->data('@setDataFrame', 'onMetaData',
             { a => { b => { c => { d => { e => 1 } } } } });
    ok(alive($c), 'metadata of any depth (RTMP-77)');
    $c->close();
}


sub setup {
    my $c = RTMP->new(port => $t->port(1937));

    $c->handshake();
    $c->write_bytes(message(99, '')) for 1 .. 10;
    $c->write_bytes(message(99, ''));
    ends($c, qr/more than 10 messages before a publish was accepted/,
         'eleven messages (RTMP-120)');

    $c = RTMP->new(port => $t->port(1937));
    $c->handshake();
    $c->write_bytes(message(99, 'x' x 128)) for 1 .. 3;
    $c->write_bytes(small(99, 'x' x 8000));
    ends($c, qr/more than 8192 bytes before a publish was accepted/,
         'more than 8 KiB (RTMP-120)');

    # afterwards there may be any number
    $c = small_client('chatty');
    $c->write_bytes(message(99, 'x' x 1000) x 100);
    ok(alive($c), 'a publisher may send more');
    $c->close();
}


# nginx's own limit counts our connections.
sub connections {
    my $c = RTMP->start(port => $t->port(1939), app => 'live', name => 'first');
    my $second = RTMP->new(port => $t->port(1939));

    ok($second->is_closed(10), 'limit_conn closes a second connection');
    like(lines_of($second), qr/limiting connections by zone "addresses"/,
         'the log says so');

    my $other = RTMP->start(port => $t->port(1939), source => '127.0.0.2',
                            app => 'live', name => 'second');

    ok($other, 'of another address there may be one');
    ok(alive($c), 'and the first one stays');
    $_->close() for $c, $other;
}


# --- publications -------------------------------------------------------------

sub publications {
    my ($first, $second) = map { on_worker($_) } @workers;

    publishes($first, 'few', 'a', 'the first publication');
    publishes($second, 'few', 'b', 'the second one, in another worker');

    for my $worker (@workers) {
        my $c = on_worker($worker);

        refused($c, 'few', 'c', qr/"max_publications"/,
                'a third one is refused in each worker');
        like(lines_of($c), qr/publishing "c" refused: .*"max_publications"/,
             'the log says why');
    }

    my $c = on_worker($workers[0]);

    publishes($c, 'live', 'c', 'another application has limits of its own');
    $c->close();

    # a stream that is taken over is none more
    $c = takes_over('few', 'a');
    ok($first->is_closed(10), 'a publisher is replaced at the limit');

    # whose connection is gone makes room
    $second->close();
    $second = $t->wait_for(sub { try_publish('few', 'd') }, 10,
                           'room for another one');
    ok($second, 'when one ends there is room for another one');
    $_->close() for $c, $second;

    # nor is one that stands by
    $c = client();
    publishes($c, 'pair', 'a', 'one that has a backup');

    my $backup = client();

    publishes($backup, 'pair', 'a', 'which does not count');
    refused(client(), 'pair', 'b', qr/"max_publications"/, 'another one does');
    $_->close() for $backup, $c;
}


sub addresses {
    my $c = RTMP->start(port => $t->port(1935), app => 'each', name => 'a');

    refused(client(), 'each', 'b', qr/"max_publications"/,
            'a second one of an address is refused');

    my $other = client(source => '127.0.0.2');

    publishes($other, 'each', 'b', 'another address may publish');
    publishes(client(source => '127.0.0.3'), 'each', 'c', 'and another one');
    $_->close() for $c, $other;

    $c = RTMP->start(port => $t->port(1935), app => 'both', name => 'a');
    $other = client(source => '127.0.0.2');
    refused(client(), 'both', 'b', qr/"max_publications"/,
            'with both limits the one of the address holds');
    publishes($other, 'both', 'b', 'a second address');
    refused(client(source => '127.0.0.3'), 'both', 'c', qr/"max_publications"/,
            'and so does the one of all');
    $_->close() for $c, $other;
}


# Behind the PROXY protocol it is the address that it tells.
sub networks {
    my @clients;

    my @cases = (
        [ '2001:db8:1:2::1', 1, 'an address of IPv6' ],
        [ '2001:db8:1:2:ffff::9', 0, 'another one of its network' ],
        [ '2001:db8:1:3::1', 1, 'one of another network' ],
        [ '::ffff:203.0.113.7', 1, 'IPv4 in IPv6' ],
        [ '203.0.113.7', 0, 'the same in IPv4' ],
        [ '203.0.113.8', 1, 'another one' ],
    );

    for (@cases) {
        my ($address, $accepted, $what) = @$_;

        my $c = RTMP->new(port => $t->port(1938));
        my $family = $address =~ /:/ ? 'TCP6' : 'TCP4';

        $c->write_bytes("PROXY $family $address "
                        . ($family eq 'TCP6' ? '::1' : '192.0.2.1')
                        . " 12345 1935\r\n");
        $c->handshake();

        # other tests' publishers of this application have gone
        if ($accepted) {
            publishes($c, 'each', 'n' . @clients, $what);
            push @clients, $c;

        } else {
            refused($c, 'each', 'refused', qr/"max_publications"/, $what);
        }
    }

    $_->close() for @clients;
}


# Nothing is counted that a dead worker has left.
sub dead_worker {
    $t->allow_log(qr/worker process \d+ exited on signal 9/);

    my $c = on_worker($workers[0]);

    publishes($c, 'one', 'a', 'the only publication');
    refused(on_worker($workers[1]), 'one', 'b', qr/"max_publications"/,
            'there is no room for another one');

    kill 'KILL', $workers[0];
    ok($c->is_closed(10), 'its worker dies');

    $c = $t->wait_for(sub { try_publish('one', 'b') }, 20, 'room again');
    ok($c, 'and there is room again (invariant 7)');
}


# --- media --------------------------------------------------------------------

sub bitrate {
    my $c = RTMP->start(port => $t->port(1935), app => 'slow', name => 'burst');

    $c->write_bytes(message(99, 'x' x 4000)) for 1 .. 8;
    ok(alive($c), 'a window\'s worth of bits at once');
    $c->write_bytes(message(99, 'x' x 4000) x 60);

    my $info = $c->status() || {};

    is($info->{code}, 'NetStream.Publish.Denied', 'more is not');
    is($info->{description},
       'more than the 400 kbit/s of "max_bitrate" for too long',
       'the publisher is told why');
    ok($c->is_closed(10), 'the connection ends');
    like(lines_of($c), qr/publishing ends: more than the 400 kbit/,
         'the log says why');
    is(state_of($c), 'limited', 'and the access log that it was a limit');

    $c = RTMP->start(port => $t->port(1935), app => 'burst', name => 'burst');
    $c->write_bytes(message(99, 'x' x 4000) x 30);
    ok(alive($c), 'a longer window lets that through');
    $c->close();

    $c = RTMP->start(port => $t->port(1935), app => 'live', name => 'burst');
    $c->write_bytes(message(99, 'x' x 4000) x 1000);
    ok(alive($c), 'so does the default');
    $c->close();
}


sub key_frames {
    my $c = RTMP->start(port => $t->port(1935), app => 'keys', name => 'often');

    $c->send_tags($tags);
    ok(alive($c), 'a key frame every second');
    $c->close();

    $c = RTMP->start(port => $t->port(1935), app => 'keys', name => 'rare');
    $c->send_tags($rare);

    my $info = $c->status() || {};

    is($info->{code}, 'NetStream.Publish.Denied', 'every two seconds is less');
    is($info->{description},
       'no key frame for more than the 1000ms of "max_gop"',
       'the publisher is told why');
    ok($c->is_closed(10), 'the connection ends');
    like(lines_of($c), qr/publishing ends: no key frame/,
         'the log says why');
    is(state_of($c), 'limited', 'and the access log that it was a limit');

    $c = RTMP->start(port => $t->port(1935), app => 'keys', name => 'never');
    $c->send_tags([ grep { $_->{payload} !~ /\A\x17\x01/ } @$tags ]);
    is(($c->status() || {})->{code}, 'NetStream.Publish.Denied',
       'none at all is less, too');
    $c->close();

    # what has no video has no key frames
    $c = RTMP->start(port => $t->port(1935), app => 'keys', name => 'sound');
    $c->send_tags([ grep { $_->{type} == 8 } @$rare ]);
    ok(alive($c), 'audio needs none');
    $c->close();

    # a video that stops is silent, not without key frames
    $c = RTMP->start(port => $t->port(1935), app => 'keys', name => 'stops');
    $c->send_tags([ grep { $_->{type} == 8 || $_->{timestamp} < 500 } @$rare ]);
    ok(alive($c), 'nor does a video that stops');
    $c->close();

    # the time that a jump leaves out is not the encoder's
    $c = RTMP->start(port => $t->port(1935), app => 'keys', name => 'jumps');
    $c->send_tags([ grep { $_->{timestamp} < 1500 } @$tags ]);
    $c->send_tags([ grep { $_->{timestamp} >= 1500 } @$tags ], 3600 * 1000);
    ok(alive($c), 'nor is a jump of the timestamps a missing key frame');
    $c->close();
}


# --- tools --------------------------------------------------------------------

# A publisher on the server with small limits; chunks of any size.
sub small_client {
    my ($name) = @_;

    return RTMP->start(port => $t->port(1937), app => 'live', name => $name,
                       chunk_size => 65536);
}


sub client {
    my (%option) = @_;

    my $c = RTMP->new(port => $t->port(1935), %option);

    $c->handshake();

    return $c;
}


# A client whose connection that worker has accepted.
sub on_worker {
    my ($worker) = @_;

    for (1 .. 100) {
        my $c = client();

        return $c if lines_of($c) =~ /\] $worker#.* connected/;
        $c->close();
    }

    die "worker $worker accepts nothing\n";
}


sub publishes {
    my ($c, $app, $name, $what) = @_;

    $c->connect($app);

    my $info = $c->publish($name) || {};

    is($info->{code}, 'NetStream.Publish.Start', $what)
        or diag($info->{description});
}


sub refused {
    my ($c, $app, $name, $reason, $what) = @_;

    $c->connect($app);

    my $info = $c->publish($name) || {};

    is($info->{code}, 'NetStream.Publish.Denied', $what);
    like($info->{description}, $reason, "$what: and told why");
    ok($c->is_closed(10), "$what: and closed");
}


# A client that publishes, or undef.
sub try_publish {
    my ($app, $name) = @_;

    my $c = client();

    $c->connect($app);

    my $info = $c->publish($name) || {};

    return $c if ($info->{code} // '') eq 'NetStream.Publish.Start';

    $c->close();

    return undef;
}


# The publisher of a stream whose first one has fallen silent.
sub takes_over {
    my ($app, $name) = @_;

    return $t->wait_for(sub { try_publish($app, $name) }, 10, 'take-over');
}


# A message in one chunk of format 0.
sub message {
    my ($type, $payload, %option) = @_;

    return chr($option{csid} || 3) . "\0\0\0"
           . substr(pack('N', length $payload), 1) . chr($type)
           . pack('V', 1) . $payload;
}


# The same in chunks of 128 bytes.
sub small {
    my ($type, $payload) = @_;

    my ($first, @rest) = unpack '(a128)*', $payload;

    return "\x03\0\0\0" . substr(pack('N', length $payload), 1) . chr($type)
           . pack('V', 0) . $first . join '', map { "\xc3$_" } @rest;
}


# The connection goes on: a ping is answered, and with all before it taken.
sub alive {
    my ($c) = @_;

    $c->write_bytes("\x02\0\0\0\0\0\6\4\0\0\0\0" . pack 'n N', 6, 4711);

    while (my $message = $c->read_message(10)) {
        return 1 if $message->{type} == 4
                    && $message->{payload} eq pack 'n N', 7, 4711;
    }

    diag(lines_of($c));

    return 0;
}


sub ends {
    my ($c, $reason, $what) = @_;

    ok($c->is_closed(10), "$what: the connection ends");
    like(lines_of($c), $reason, "$what: the log says why");
    $c->close();
}


# What the log has about the last connection of a client's port.
sub lines_of {
    my ($c) = @_;

    my $id = id_of($c) or return '';

    return join "\n", grep { /\] \Q$id\E / } $t->log(qr/\*\d+ /);
}


# "PID#TID: *CONNECTION"; a port is used again and again.
sub id_of {
    my ($c) = @_;

    my $port = $c->socket()->sockport();
    my ($id) = map { /\] (\d+\#\d+: \*\d+) / }
               reverse $t->log(qr/client 127\.0\.0\.\d:$port connected/);

    return $id;
}


sub state_of {
    my ($c) = @_;

    my ($connection) = (id_of($c) // '') =~ /(\d+)$/ or return undef;

    return $t->wait_for(sub {
        my ($state) = ($t->read_file('stream.log') // '')
                      =~ /^$connection\|(\w+)\|$/m;
        $state;
    }, 10, 'line of the access log');
}
