#!/usr/bin/env perl

# Callbacks: a site's own server is asked who may publish, hears how it goes on
# and when it ends; it may be slow, dead or lie.

# asan
# tsan

use strict;
use warnings;

use Digest::SHA qw/ hmac_sha256_hex /;
use Test::Live;
use Test::Live::Hook;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time sleep /;

my $t = Test::Live->new();
my $dir = $t->dir();

my $settings = unpack 'H*', '{"code":0,"max_bitrate":50000}';
my $rungs = unpack 'H*', '{"code":0,"rungs":["low"]}';
my $none = unpack 'H*', '{"rungs":[]}';
my $refusal = unpack 'H*', '{"code":1,"msg":"no"}';
my $garbage = unpack 'H*', '{"code":';
my $binary = unpack 'H*', "0\0\xff";

# what the server does => how a publish by form, and one by JSON, ends
my @answers = (
    allow => 'Start', 'Denied',
    zero => 'Start', 'Start',
    json => 'Start', 'Start',
    'status/204' => 'Start', 'Start',
    'status/201' => 'Start', 'Denied',
    'status/400' => 'Denied', 'Denied',
    'status/403' => 'Denied', 'Denied',
    'status/500' => 'Denied', 'Denied',
    'status/302' => 'Denied', 'Denied',     # to nowhere
    "body/$refusal" => 'Denied', 'Denied',
    "body/$garbage" => 'Denied', 'Denied',
    "body/$binary" => 'Start', 'Denied',
    'rename/..%2f' => 'Denied', 'Denied',
    'rename/http:' => 'Denied', 'Denied',
    html => 'Start', 'Denied',
    huge => 'Denied', 'Denied',
    head => 'Denied', 'Denied',
    trickle => 'Denied', 'Denied',
    loop => 'Denied', 'Denied',
    close => 'Denied', 'Denied',
    half => 'Denied', 'Denied',
    junk => 'Denied', 'Denied',
);

my ($applications, @cases) = ('');

while (my ($path, @codes) = splice @answers, 0, 3) {
    for my $format ('form', 'json') {
        my $app = "case" . @cases;

        push @cases, [ $app, $path, $format, shift @codes ];
        $applications .= <<"CONF";
    application $app {
        on_publish http://127.0.0.1:%%PORT_8090%%/$path;
        callback_format $format;
        callback_timeout 1s;
    }
CONF
    }
}

$t->command(qw/ openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj
                \/CN=localhost -addext subjectAltName=DNS:localhost -keyout /,
            "$dir/key.pem", '-out', "$dir/cert.pem");

$t->write_file_expand('nginx.conf', <<"CONF");
%%TEST_GLOBALS%%
worker_processes 1;
events { worker_connections 1024; }

live {
    zone 256m;
    segment 1s;
    window 30s;
    publish_stall 100ms;
    publish_conflict takeover;
    max_bitrate 200m window=1s;

$applications

    application live {
        on_publish http://user:SECRET\@127.0.0.1:%%PORT_8090%%/allow?SECRET;
        on_publish_done http://127.0.0.1:%%PORT_8090%%/switch/done;
        on_update http://127.0.0.1:%%PORT_8090%%/switch/update;
        callback_interval 1s;
        callback_secret SECRETofbodies;
    }

    application json {
        on_publish http://127.0.0.1:%%PORT_8090%%/json;
        on_publish_done http://127.0.0.1:%%PORT_8090%%/json;
        on_update http://127.0.0.1:%%PORT_8090%%/json;
        callback_format json;
        callback_interval 1s;
    }

    application told {
        on_publish_done http://127.0.0.1:%%PORT_8090%%/allow;
        publish_conflict refuse;
        publish_stall 60s;
    }

    application keys {
        publish_key SECRETkey;
        on_publish http://127.0.0.1:%%PORT_8090%%/allow;
        on_publish_done http://127.0.0.1:%%PORT_8090%%/allow;
    }

    application rename {
        on_publish http://127.0.0.1:%%PORT_8090%%/rename/other?query;
        on_publish_done http://127.0.0.1:%%PORT_8090%%/allow;
    }

    application limited {
        on_publish http://127.0.0.1:%%PORT_8090%%/body/$settings;
    }

    application ladder {
        rendition source copy;
        rendition high size=192x108 video=100k;
        rendition low size=96x54 video=50k;
        on_publish http://127.0.0.1:%%PORT_8090%%/body/$rungs;
    }

    application bare {
        rendition high size=192x108 video=100k;
        on_publish http://127.0.0.1:%%PORT_8090%%/body/$none;
    }

    application slow {
        on_publish http://127.0.0.1:%%PORT_8091%%/slow/3;
        on_publish_done http://127.0.0.1:%%PORT_8090%%/allow;
        callback_timeout 20s;
    }

    application dead {
        on_publish http://127.0.0.1:%%PORT_8099%%/;
        on_publish_done http://127.0.0.1:%%PORT_8099%%/;
    }

    application nowhere {
        on_publish http://no-such-host.invalid/;
        callback_timeout 5s;
    }

    application tls {
        on_publish https://localhost:%%PORT_8443%%/;
    }

    application tls-ca {
        on_publish https://localhost:%%PORT_8443%%/;
        callback_ca cert.pem;
    }

    application tls-name {
        on_publish https://127.0.0.1:%%PORT_8443%%/;
        callback_ca cert.pem;
    }

    application tls-any {
        on_publish https://127.0.0.1:%%PORT_8443%%/;
        callback_verify off;
    }

    application off {
        on_publish off;
        on_publish_done off;
        on_update off;
    }
}

stream {
    log_format live '\$live_app|\$live_name|\$live_state|';
    access_log %%DIR%%/stream.log live;

    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /streams { live_api \$arg_app; }
        location = /metrics { live_metrics; }
        location /ladder/ { live_play ladder; }
        location /bare/ { live_play bare; }
    }

    server {
        listen 127.0.0.1:%%PORT_8443%% ssl;
        ssl_certificate %%DIR%%/cert.pem;
        ssl_certificate_key %%DIR%%/key.pem;
        location / { return 204; }
    }
}
CONF

$t->write_file('update', '200 0');
$t->write_file('done', '200 0');

my $tags = [ grep { $_->{type} != 18 }
             @{ Test::Live::RTMP::flv_tags($t->clip(seconds => 4,
                                                    gop => 15)) } ];

my $hook = Test::Live::Hook->new($t, 8090);
my $slow = Test::Live::Hook->new($t, 8091);

test_configuration();

$t->run();

test_answers();
test_fields();
test_json();
test_signature();
test_keys();
test_rename();
test_limit();
test_rungs();
test_tls();
test_unreachable();
test_done();
test_retry();
test_update();
test_slow();
test_many();
test_gone();
test_hasty();
test_reload();
test_memory();
test_encoder();
test_secrecy();

done_testing();


sub ask {
    my ($app, $name, %properties) = @_;

    my $client = Test::Live::RTMP->new(port => $t->port(1935), timeout => 20);

    $client->handshake();
    $client->connect($app, %properties);

    my $info = $client->publish($name) || { code => $client->error() };

    $client->{answer} = $info->{code} =~ s/^NetStream\.Publish\.//r;
    $client->{why} = $info->{description};

    return $client;
}


sub code {
    my $client = ask(@_);
    my $code = $client->{answer};

    $client->close();

    return $code;
}


# All up to the publish command, which is sent.
sub begin {
    my ($app, $name) = @_;

    my $client = Test::Live::RTMP->new(port => $t->port(1935), timeout => 20);

    $client->handshake();
    $client->connect($app);
    $client->create_stream();
    $client->stream_command('publish', $name, 'live');

    return $client;
}


sub state {
    my ($line) = @_;

    return $t->wait_for(sub { ($t->read_file('stream.log') // '')
                              =~ /^\Q$line\E\|$/m }, 10, $line);
}


sub test_configuration {
    my $text = $t->read_file('nginx.conf');

    my %bad = (
        'on_publish ftp://host/' => qr/begins with "http/,
        'on_publish host' => qr/begins with "http/,
        'on_publish "http://a b/"' => qr/URL is not valid/,
        'on_publish http://' => qr/URL is not valid/,
        'on_publish http://a/; on_publish http://b/' => qr/is duplicate/,
        'on_publish_done ""' => qr/begins with "http/,
        'on_update http://a:99999/' => qr/URL is not valid/,
        'callback_format xml' => qr/invalid value "xml"/,
        'callback_interval 999ms' => qr/1s to 1h/,
        'callback_timeout 99ms' => qr/100ms to 60s/,
        'callback_timeout 61s' => qr/100ms to 60s/,
        'callback_verify maybe' => qr/it must be "on" or "off"/,
        'callback_ca nosuch.pem' => qr/nosuch\.pem" failed/,
        'callback_ca ""' => qr/empty path/,
        'callback_secret ""' => qr/is empty/,
    );

    for my $directive (sort keys %bad) {
        my ($code, $output) = $t->nginx_t(
            $text =~ s/(application off \{)[^}]*/$1 $directive;/r);

        isnt($code, 0, "refused: $directive");
        like($output, $bad{$directive}, 'and says why');
    }
}


# --- answers ------------------------------------------------------------------

sub test_answers {
    for my $case (@cases) {
        my ($app, $path, $format, $code) = @$case;
        my $client = ask($app, 'a');

        is($client->{answer}, $code, "$format: $path: $code");
        like($client->{why}, qr/callback/, 'and says so: ' . $client->{why})
            if $code eq 'Denied';
        $client->close();
    }

    is(code('off', 'a'), 'Start', 'no callback, no question');

    my @loops = $hook->requests(path => '/loop');

    is(scalar @loops, 2, 'no redirect is followed');
    like(join("\n", $t->log(qr/the answer is longer than 16k/)), qr/on_publish/,
         'the log says what is wrong with an answer');
    ok(state('case0|a|lost'), '$live_state of one that was allowed');
    ok(state('case1|a|refused'), 'and of one that was not');
}


sub test_fields {
    my $client = ask('live?x=y', 'fields?token=a%20b&call=play&name=evil',
                     tcUrl => 'rtmp://127.0.0.1/live', swfUrl => 'http://swf/',
                     pageUrl => 'http://page/?a=b', flashVer => 'Encoder (1; 2)');
    my ($r) = $hook->wait_requests(1, name => 'fields', call => 'publish');
    my %fields = %{ $r->{fields} };

    is($r->{method}, 'POST', 'a form by POST');
    is($r->{headers}{'content-type'}, 'application/x-www-form-urlencoded',
       'its type');
    like(delete $fields{clientid}, qr/^\d+$/, 'clientid');
    is_deeply(\%fields, { call => 'publish', app => 'live', name => 'fields',
                          addr => '127.0.0.1', type => 'live',
                          tcurl => 'rtmp://127.0.0.1/live',
                          swfurl => 'http://swf/', flashver => 'Encoder (1; 2)',
                          pageurl => 'http://page/?a=b', token => 'a b',
                          x => 'y' },
              'nginx-rtmp\'s fields, and the arguments that are none of them');
    like($r->{headers}{authorization}, qr/^Basic /, 'a URL with a password');

    my ($u) = $hook->wait_requests(1, name => 'fields',
                                   call => 'update_publish');

    like($u->{fields}{time}, qr/^[1-9]$/, 'an update: for how long');
    like($u->{fields}{timestamp}, qr/^[1-9]000$/, 'in ms');
    is($u->{fields}{clientid}, $r->{fields}{clientid}, 'of the same client');

    $client->send_tags($tags);
    $client->close();

    my ($d) = $hook->wait_requests(1, name => 'fields', call => 'publish_done');

    is($d->{fields}{clientid}, $r->{fields}{clientid}, 'the end of it');
    is($d->{fields}{token}, 'a b', 'with the arguments');
    cmp_ok($d->{fields}{bytes}, '>', 10_000, 'and how many bytes there were');
}


sub test_json {
    my $client = ask('json', "fields?token=\xff\xc3\xa9", flashVer => 'x');
    my ($r) = $hook->wait_requests(1, stream => 'fields',
                                   action => 'on_publish');
    my %fields = %{ $r->{fields} };

    is($r->{headers}{'content-type'}, 'application/json', 'JSON: its type');
    like(delete $fields{client_id}, qr/^\d+$/, 'client_id');
    is_deeply(\%fields, { action => 'on_publish', ip => '127.0.0.1',
                          vhost => '__defaultVhost__', app => 'json',
                          tcUrl => 'rtmp://127.0.0.1/json', stream => 'fields',
                          param => '?token=???', pageUrl => '', swfUrl => '',
                          flashVer => 'x' }, 'SRS\'s fields');

    ok($hook->wait_requests(1, stream => 'fields', action => 'on_update'),
       'on_update');
    $client->stop('fields');
    ok($hook->wait_requests(1, stream => 'fields', action => 'on_unpublish'),
       'on_unpublish');
}


sub test_signature {
    my ($r) = $hook->requests(name => 'fields', call => 'publish');
    my $stamp = $r->{headers}{'x-live-timestamp'};

    cmp_ok(abs($stamp - $r->{time}), '<', 60, 'X-Live-Timestamp is now');
    is($r->{headers}{'x-live-signature'},
       'sha256=' . hmac_sha256_hex("$stamp.$r->{body}", 'SECRETofbodies'),
       'X-Live-Signature');

    ($r) = $hook->requests(stream => 'fields', action => 'on_publish');
    ok(!exists $r->{headers}{'x-live-signature'}, 'none without a secret');
}


sub test_keys {
    is(code('keys', 'k'), 'Denied', 'without the key');
    is(scalar $hook->requests(name => 'k'), 0, 'nobody is asked');
    is(code('keys', 'k?a=b&key=SECRETkey', tcUrl => 'rtmp://h/keys?key=SECRETkey'),
       'Start', 'with it');

    my ($r, $d) = map { $hook->wait_requests(1, name => 'k', call => $_) }
                  'publish', 'publish_done';

    is($r->{fields}{a}, 'b', 'the arguments are there');
    unlike("$r->{body} $d->{body}", qr/SECRET/, 'but not the key');

    # one that the control API has made
    my $made = $t->get('/streams?app=live', method => 'POST',
                       headers => { 'Content-Type' => 'application/json' },
                       body => '{"stream_id":"made"}');
    my ($key) = $made->{body} =~ /"(?:stream_)?key":"(\w+)"/;

    ok($key, 'a stream that was created has a key') or diag($made->{body});
    is(code('live', "made?key=$key&a=b"), 'Start', 'it is published with that');

    ($r, $d) = map { $hook->wait_requests(1, name => 'made', call => $_) }
               'publish', 'publish_done';
    is($r->{fields}{a}, 'b', 'the server is asked');
    unlike("$r->{body} $d->{body}", qr/\Q$key\E/, 'without the key');
}


sub test_rename {
    my $client = ask('rename', 'one');

    is($client->{answer}, 'Start', 'renamed');
    like($t->get('/streams?app=rename')->{body}, qr/"name":"other"/,
         'the stream has the other name');
    unlike($t->get('/streams?app=rename')->{body}, qr/"one"/, 'and no other');
    $client->close();
    ok($hook->wait_requests(1, app => 'rename', name => 'other',
                            call => 'publish_done'), 'also when it ends');
    ok(state('rename|other|lost'), 'and in logs');
}


sub test_limit {
    my $client = ask('limited', 'a');

    is($client->{answer}, 'Start', 'with a max_bitrate');
    $client->send_tags($tags);

    my $info = $client->status() || {};

    is($info->{code}, 'NetStream.Publish.Denied', 'which holds');
    like($info->{description}, qr/50 kbit/, 'the callback\'s');
    $client->close();
}


sub test_rungs {
    my %wanted = (ladder => 'source low', bare => 'source');

    for my $app (sort keys %wanted) {
        my $client = ask($app, 'a');
        my $playlist = '';

        $client->send_tags($tags);
        ok($t->wait_for(sub { ($playlist = $t->get("/$app/a/playlist.m3u8")
                                             ->{body} // '') =~ /^\w+\/play/m },
                        20, 'playlist'), "$app: a playlist");
        is(join(' ', $playlist =~ m{^(\w+)/playlist}mg), $wanted{$app},
           'of the rungs that the callback has chosen');
        $client->close();
    }
}


sub test_tls {
    is(code('tls', 'a'), 'Denied', 'HTTPS: a certificate that nobody knows');
    like(join("\n", $t->log(qr{on_publish: https://localhost.*certificate})),
         qr/./, 'the log says so');
    is(code('tls-ca', 'a'), 'Start', 'callback_ca');
    is(code('tls-name', 'a'), 'Denied', 'which has another name');
    is(code('tls-any', 'a'), 'Start', 'callback_verify off');
}


sub test_unreachable {
    my ($answered, $refused, $failed) = counted();
    my $client = ask('dead', 'a');

    is($client->{answer}, 'Denied', 'nobody there');
    like($client->{why}, qr/did not answer/, 'is what a publisher is told');
    ok($client->is_closed(), 'and it is closed');
    like($t->log(), qr{on_publish: http://127\.0\.0\.1:\d+/: .*onnect.*"dead/a"},
         'the log says more');
    is(code('nowhere', 'a'), 'Denied', 'a host that does not exist');
    cmp_ok($answered, '>', 0, 'metrics: callbacks that were answered');
    cmp_ok($refused, '>', 0, 'metrics: those by a refusal');
    cmp_ok((counted())[2], '>=', $failed + 2, 'metrics: and not at all');
}


# Callbacks as metrics have them: answered, refused, failed.
sub counted {
    my $text = $t->get('/metrics')->{body};

    return map { ($text =~ /^live_callbacks_${_}_total (\d+)$/m)[0] // -1 }
           qw/ answered refused failed /;
}


# --- done, update -------------------------------------------------------------

# One that had begun is told to have ended, however that was; and no other.
sub test_done {
    my $first = ask('told', 'd');

    is($first->{answer}, 'Start', 'on_publish_done alone');
    is(code('told', 'd'), 'BadName', 'a second publisher is refused');
    is(scalar $hook->requests(name => 'd'), 0, 'and has nothing to end');

    $first->command('FCUnpublish', undef, 'd');
    $first->status();
    ok($hook->wait_requests(1, name => 'd', call => 'publish_done'),
       'unpublish');

    $first->create_stream();
    $first->stream_command('publish', 'd2', 'live');
    is($first->status()->{code}, 'NetStream.Publish.Start', 'once more');
    $first->reset();
    ok($hook->wait_requests(1, name => 'd2', call => 'publish_done'),
       'a connection that breaks');
    is(scalar $hook->requests(name => 'd', call => 'publish_done'), 1,
       'each is told once');
}


sub test_retry {
    $t->write_file('done', '500 x');
    is(code('live', 'retry'), 'Start', 'a server that fails');

    $hook->wait_requests(2, name => 'retry', call => 'publish_done');
    $t->write_file('done', '200 0');

    my @requests = $hook->wait_requests(3, name => 'retry',
                                        call => 'publish_done');

    cmp_ok($requests[1]{time} - $requests[0]{time}, '>', 0.9,
           'is asked again after a second');
    cmp_ok($requests[2]{time} - $requests[1]{time}, '>', 1.9, 'or two');
    is($requests[2]{body}, $requests[0]{body}, 'the same');
    isnt($requests[2]{headers}{'x-live-signature'},
         $requests[0]{headers}{'x-live-signature'}, 'signed anew');
    ok(scalar($t->log(qr{on_publish_done of "live/retry": .* answered 500})),
       'the log says so');
}


sub test_update {
    my $client = ask('live', 'update');

    $hook->wait_requests(2, name => 'update', call => 'update_publish');
    $hook->stop();
    ok($t->wait_for(sub { scalar $t->log(qr{on_update: .*onnect.*live/update}) },
                    10, 'on_update fails'), 'a server that is gone');
    $hook->start();

    my $so_far = $hook->requests(name => 'update', call => 'update_publish');

    ok($hook->wait_requests($so_far + 1, name => 'update',
                            call => 'update_publish'), 'does not end a stream');

    $t->write_file('update', '404 x');

    my $info = $client->status() || {};

    is($info->{code}, 'NetStream.Publish.Denied', 'one that says no does');
    like($info->{description}, qr/callback answered 404/, 'and why');
    ok($client->is_closed(), 'the connection is closed');
    ok(state('live|update|revoked'), '$live_state');
    ok($hook->wait_requests(1, name => 'update', call => 'publish_done'),
       'and the end is told');
    $t->write_file('update', '200 {"code":7}');

    $client = ask('live', 'update2');
    is(($client->status() || {})->{code}, 'NetStream.Publish.Denied',
       'so does a code that is not 0');
    $client->close();

    # settings of a stream that plays
    $t->write_file('update', '200 {"max_bitrate":50000,"record":{"path":"x"}}');

    $client = ask('live', 'update3');
    $hook->wait_requests(3, name => 'update3', call => 'update_publish');
    $client->send_tags($tags);
    $info = $client->status() || {};
    is($info->{code}, 'NetStream.Publish.Denied', 'max_bitrate of an update');
    like($info->{description}, qr/50 kbit/, 'counts');
    is(scalar(() = $t->log(qr{"record" is ignored.*live/update3})), 1,
       'a recording is not made, which is said once');
    $client->close();
    $t->write_file('update', '200 0');
}


# --- time ---------------------------------------------------------------------

# A callback that takes its time is nobody else's affair.
sub test_slow {
    my $waits = begin('slow', 'waits');

    $slow->wait_requests(1, name => 'waits');

    for my $name (qw/ a b c /) {
        is(code('live', $name), 'Start', "meanwhile: $name");
    }

    unlike($t->get('/streams?app=slow')->{body}, qr/waits/,
           'before the answer there is no stream');
    unlike($t->read_file('stream.log') // '', qr/^slow/m, 'it waits still');

    my $info = $waits->status() || {};

    is($info->{code}, 'NetStream.Publish.Start', 'then it is answered');
    $waits->close();
}


# More than may be under way to one server: in turn, and others pass.
sub test_many {
    my @clients = map { begin('slow', "many$_") } 1 .. 80;

    $slow->wait_requests(64, name => 'many.*');
    is(code('live', 'passes'), 'Start', 'another server is asked meanwhile');

    my %codes;

    $codes{ ($_->status() || {})->{code} // $_->error() }++ for @clients;
    is_deeply(\%codes, { 'NetStream.Publish.Start' => 80 },
              '80 at once: all are answered');

    my @times = sort { $a <=> $b } map { $_->{time} }
                $slow->requests(name => 'many.*');

    is(scalar @times, 80, 'each was asked for once');
    cmp_ok($times[64] - $times[0], '>', 2.5, 'not more than 64 at once');
    $_->close() for @clients;
    $hook->wait_requests(80, name => 'many.*', call => 'publish_done');
}


# One that does not wait for the answer.
sub test_gone {
    my $client = begin('slow', 'gone');

    $slow->wait_requests(1, name => 'gone');
    $client->close();

    ok(state('slow|gone|asking'), 'who goes while it waits is gone');

    $client = begin('slow', 'reset');
    $slow->wait_requests(1, name => 'reset');
    $client->reset();

    is(code('slow', 'after'), 'Start', 'who comes later');
    $hook->wait_requests(1, name => 'after', call => 'publish_done');
    is(scalar $hook->requests(name => 'gone|reset'), 0,
       'and who was not allowed yet has nothing to end');
}


# What is sent before the answer is kept, up to live_max_setup_size.
sub test_hasty {
    my $client = begin('slow', 'hasty');

    $client->set_chunk_size(4096);

    my @first = @$tags[0 .. 9];

    $client->send_tags(\@first);
    is(($client->status() || {})->{code}, 'NetStream.Publish.Start',
       'a hasty publisher');
    $client->send_tags([ @$tags[10 .. $#$tags] ]);
    ok($t->wait_for(sub { $t->get('/streams?app=slow')->{body}
                          =~ /"name":"hasty".*"codec":"avc1/ }, 10, 'stream'),
       'and nothing of it is lost');
    $client->close();

    $client = begin('slow', 'hastier');
    $client->set_chunk_size(65536);
    eval { $client->video(0, "\x17\x01\0\0\0" . 'x' x 60_000) for 1 .. 20 };
    ok($client->is_closed(), 'one that sends too much meanwhile is closed');
    ok(scalar($t->log(qr/bytes before a publish was accepted.*hastier/)),
       'with a reason');
}


sub test_reload {
    my $client = begin('slow', 'reload');
    my ($old) = $t->workers();

    $slow->wait_requests(1, name => 'reload');
    ok($t->reload(), 'a reload while it waits');
    is(code('live', 'new'), 'Start', 'the new worker asks');
    is(($client->status() || {})->{code}, 'NetStream.Publish.Start',
       'the old one gets its answer');
    $client->close();
    ok($hook->wait_requests(1, name => 'reload', call => 'publish_done'),
       'and tells the end');
    ok($t->wait_for(sub { !$t->is_alive($old) }, 20, 'exit of the worker'),
       'before it goes');

    # also when it has to be told again
    $t->write_file('done', '500 x');
    ($old) = $t->workers();
    $client = ask('live', 'late');
    $client->close();
    $hook->wait_requests(1, name => 'late', call => 'publish_done');
    ok($t->reload(), 'a reload while it is to be told again');
    $t->write_file('done', '200 0');
    ok($t->wait_for(sub { !$t->is_alive($old) }, 20, 'exit of the worker'),
       'that worker goes as well');
    cmp_ok(scalar $hook->requests(name => 'late', call => 'publish_done'), '>',
           1, 'when it has done so');
}


sub resources {
    my ($pid) = $t->workers();
    my ($rss) = Test::Live::slurp_proc($pid, 'status') =~ /^VmRSS:\s+(\d+)/m;

    opendir my $fds, "/proc/$pid/fd" or die "/proc/$pid/fd: $!\n";

    return ($rss, scalar grep { !/^\./ } readdir $fds);
}


# Connections that nobody needs any more are gone a little later.
sub test_memory {
    my $publishes = sub {
        my %codes;

        for (1 .. $_[0] / 10) {
            my @clients = map { begin('dead', "m$_") } 1 .. 10;

            $codes{ ($_->status() || {})->{code} // '' }++ for @clients;
            $_->close() for @clients;
        }

        return \%codes;
    };

    $publishes->(100);
    sleep 0.1 while $t->get('/streams?app=dead')->{status} != 200;

    my ($rss, $fds) = resources();

    is_deeply($publishes->(200), { 'NetStream.Publish.Denied' => 200 },
              '200 publishes and a dead server');

    my ($new_rss, $new_fds);

    ok($t->wait_for(sub { ($new_rss, $new_fds) = resources();
                          $new_fds <= $fds }, 20, 'descriptors'),
       'leave no descriptor') or diag("$fds, $new_fds");

    my $most = $ENV{TEST_ASAN} || $ENV{TEST_TSAN} ? 20_000 : 2_000;

    cmp_ok($new_rss - $rss, '<', $most, "and no memory: $rss kB, $new_rss kB");
}


sub test_encoder {
    my $pid = $t->ffmpeg_publish('live/encoder?token=1', realtime => 0,
                                 clip => { seconds => 3, gop => 15 });

    is($t->wait_exit($pid, 60), 0, 'ffmpeg') or diag($t->output($pid));
    ok($hook->wait_requests(1, name => 'encoder', call => 'publish_done'),
       'from its begin to its end');

    $pid = $t->ffmpeg_publish('case11/no', realtime => 0,
                              clip => { seconds => 3, gop => 15 });
    isnt($t->wait_exit($pid, 60), 0, 'one that is refused ends');
}


sub test_secrecy {
    for my $file (qw/ error.log stream.log /) {
        unlike($t->read_file($file), qr/SECRET/, "$file: no password, no key");
    }
}
