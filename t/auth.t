#!/usr/bin/env perl

# Who may publish: keys, lists of them, names that were signed; and nothing
# that nginx writes or serves shows a key.

# asan
# waits

use strict;
use warnings;

use Digest::SHA qw/ hmac_sha256_hex /;
use Test::Live;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time /;

my $t = Test::Live->new();

# each of them in the name of what is grepped for at the end
my %key = map { $_ => "KEY$_" . 'a1b2c3d4e5' x 2 }
          qw/ one two mapped other file any named again sig rotate mistaken /;

my $secret = $key{sig};
my $rotated = $key{rotate};

$t->write_file_expand('nginx.conf', <<"CONF");
%%TEST_GLOBALS%%
error_log %%DIR%%/debug.log debug;
worker_processes 2;
events { }

live {
    zone 64m;
    segment 1s;
    window 30s;
    publish_stall 100ms;
    publish_conflict takeover;

    publish_key $key{one};
    publish_key "$key{two}";

    application live { }

    application open {
        publish_key off;
    }

    application map {
        publish_key \$key;
        publish_key "\${key_of_all}x";
    }

    application file {
        publish_key file=keys;
        publish_key file=%%DIR%%/more;
    }

    application named {
        publish_key file=names as=name;
        publish_key $key{other};
    }

    application signed {
        publish_key off;
        publish_secret $secret;
        publish_secret $rotated;
    }

    application both {
        publish_secret $secret;
    }

    application strange/app {
        publish_key off;
        publish_secret $secret;
    }
}

stream {
    map \$live_name \$key {
        mapped  $key{mapped};
        other   $key{other};
        default "";
    }

    map \$live_app \$key_of_all {
        default $key{any};
    }

    log_format live '\$live_app|\$live_name|\$live_state|\$remote_addr|';
    access_log %%DIR%%/stream.log live;

    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /named/ { live_play named; }
        location /streams { live_api \$arg_app; }
    }
}
CONF

$t->write_file('keys', "# of users\n\nann $key{file}\r\n bob\t$key{again} # x\n"
                       =~ s/ # x//r);
$t->write_file('more', "$key{any}\n");
$t->write_file('large', "$key{any}\n" . "#\n" x 524_288);
$t->write_file('names', "show $key{named}\n.bad $key{again}\n");

my %refused;

test_configuration();

$t->write_file('names', "show $key{named}\nother $key{again}\n");
$t->run();

test_keys();
test_places();
test_variables();
test_file();
test_named();
test_signed();
test_together();
test_encoder();
test_reload();
test_secrecy();

done_testing();


# Asks to publish "APP/NAME?QUERY", with an app that may have a query as well:
# the code of the answer, without what all codes begin with.
sub ask {
    my ($app, $name, %properties) = @_;

    my $client = Test::Live::RTMP->new(port => $t->port(1935), timeout => 5);

    $client->handshake();
    $client->connect($app, %properties);

    my $info = $client->publish($name) || { code => $client->error() };
    my $code = $info->{code} =~ s/^NetStream\.Publish\.//r;

    if ($code ne 'Start') {
        $refused{$info->{description}}++;
        is($info->{level}, 'error', "$code: an error") if $info->{level};
        ok($client->is_closed(), 'and the connection is closed')
            if !$refused{closed}++;
    }

    $client->close();

    return $code;
}


sub description {
    my ($app, $name) = @_;

    %refused = (closed => 1);
    ask($app, $name);

    return (grep { $_ ne 'closed' } keys %refused)[0] // '';
}


sub signed {
    my ($path, $expires, $by) = @_;

    return "expires=$expires&sig=" . hmac_sha256_hex("$path:$expires",
                                                     $by // $secret);
}


# --- the configuration --------------------------------------------------------

sub test_configuration {
    my $text = $t->read_file('nginx.conf');
    my ($code, $output) = $t->nginx_t($text);

    isnt($code, 0, 'a list with a bad name is refused');
    like($output, qr{the name of a stream is not valid in .*/names:2},
         'with file and line');
    unlike($output, qr/KEY/, 'and without a key');

    $t->write_file('names', "show $key{named}\n");
    ($code, $output) = $t->nginx_t($text);
    is($code, 0, 'a good one is not') or diag($output);

    my %bad = (
        "publish_key $key{one} as=name" => qr/needs a file/,
        "publish_key $key{one} as=other" => qr/not "as=name"/,
        'publish_key ""' => qr/is empty/,
        'publish_key file=' => qr/empty path/,
        'publish_key file=nosuch' => qr/nosuch" failed/,
        'publish_key file=.' => qr/"publish_key": ".*" is no file/,
        'publish_key file=large' => qr/"publish_key": ".*large" has more than 1m/,
        'publish_key file=more as=name' => qr/without the name.*more:1/,
        "publish_key off; publish_key $key{one}" => qr/"off" already/,
        "publish_key $key{one}; publish_key off" => qr/next to another/,
        "publish_key x$key{one}\$" => qr/invalid variable/,
        "publish_key $key{one}\${a" => qr/invalid variable/,
        'publish_key $nosuch' => qr/unknown variable "nosuch"/,
        'publish_key ' . '$live_name$live_app' x 9 => qr/too many/,
        'publish_secret ""' => qr/is empty/,
        "publish_secret $secret; publish_secret off" => qr/next to another/,
        "publish_secret off; publish_secret $secret" => qr/"off" already/,
        "publish_secret $secret more" => qr/number of arguments/,
    );

    for my $directive (sort keys %bad) {
        my $name = $directive =~ s/KEY[a-z]+[0-9a-e]+/KEY/gr;

        ($code, $output) = $t->nginx_t(
            $text =~ s/(application live \{)/$1 $directive;/r);

        isnt($code, 0, "refused: $name");
        like($output, $bad{$directive}, 'and says why');
        unlike($output, qr/KEY[a-z]/, 'and not what the key is');
    }

    ($code, $output) = $t->nginx_t(
        $text =~ s/^stream \{.*?^\}$//msr);
    like($output, qr/unknown variable "key"/, 'variables need stream{}');

    # stream{} before live{}
    my ($stream) = $text =~ /^(stream \{.*?^\})$/ms;
    ($code, $output) = $t->nginx_t($text =~ s/^stream \{.*?^\}$//msr
                                         =~ s/^live \{/$stream\nlive {/mr);
    is($code, 0, 'in whatever order') or diag($output);
}


# --- keys ---------------------------------------------------------------------

sub test_keys {
    is(ask('live', "a?key=$key{one}"), 'Start', 'a key');
    is(ask('live', "a?key=$key{two}"), 'Start', 'another one');
    is(ask('live', "a"), 'Denied', 'none');
    is(ask('live', "a?key="), 'Denied', 'an empty one');
    is(ask('live', "a?key"), 'Denied', 'and without a value');
    is(ask('live', "a?key=$key{one}x"), 'Denied', 'one with more');
    is(ask('live', 'a?key=' . substr $key{one}, 0, -1), 'Denied', 'with less');
    is(ask('live', 'a?key=' . lc $key{one}), 'Denied', 'in another case');
    is(ask('live', 'a?key=' . 'x' x 2000), 'Denied', 'a long one');
    is(ask('live', "a?key=x&key=$key{one}"), 'Denied', 'the first counts');
    is(ask('open', 'a'), 'Start', 'publish_key off: none is wanted');
    is(ask('open', 'a?key=x'), 'Start', 'nor looked at');

    like(description('live', 'a'), qr/a key is wanted, NAME\?key=KEY/,
         'a publisher is told what is wanted');
    like(description('live', 'a?key=x'), qr/key is not valid/,
         'and what is wrong');

    my @lines = $t->log(qr/publishing "a" refused: .*key.*client: 127\.0\.0\.1/);

    cmp_ok(scalar @lines, '>', 5, 'each refusal is logged with the address');
    ok($t->wait_for(sub { ($t->read_file('stream.log') // '')
                          =~ /^live\|a\|refused\|127/m }, 5, 'access log'),
       '$live_state says so');
}


sub test_places {
    my $encoded = join '', map { sprintf '%%%02x', ord } split //, $key{one};

    is(ask('live', "a?x=y&key=$key{one}&z"), 'Start', 'among others');
    is(ask('live', "a?key=$encoded"), 'Start', 'percent-encoded');
    is(ask("live?key=$key{one}", 'a'), 'Start', 'behind the application');
    is(ask('live', 'a', tcUrl => "rtmp://127.0.0.1/live?key=$key{one}"),
       'Start', 'in tcUrl only');
    is(ask("live?key=$key{one}", 'a?key=x'), 'Denied', 'the nearest counts');
    is(ask('live', "a?monkey=$key{one}"), 'Denied', 'not another argument');
    is(ask("$key{one}", 'a'), 'BadName', 'no key is an application');
}


sub test_variables {
    is(ask('map', "mapped?key=$key{mapped}"), 'Start', 'by $live_name');
    is(ask('map', "other?key=$key{other}"), 'Start', 'for each name');
    is(ask('map', "mapped?key=$key{other}"), 'Denied', 'its own');
    is(ask('map', "none?key="), 'Denied', 'an empty value is no key');
    is(ask('map', "none"), 'Denied', 'nor is none');
    is(ask('map', "none?key=$key{any}x"), 'Start', 'with text around it');
    is(ask('map', "none?key=x"), 'Denied', 'but not the text alone');

    # what nginx keeps of one name is not for another one
    my $client = Test::Live::RTMP->start(port => $t->port(1935), app => 'map',
                                         name => "mapped?key=$key{mapped}");

    $client->command('FCUnpublish', undef, 'mapped');
    is($client->status()->{code}, 'NetStream.Unpublish.Success', 'unpublish');

    my $info = $client->publish("other?key=$key{mapped}");

    is($info->{code}, 'NetStream.Publish.Denied',
       'the key of one stream is not that of the next on a connection');
    like($info->{description}, qr/another connection/, 'and why');
    $client->close();

    $client = Test::Live::RTMP->start(port => $t->port(1935), app => 'map',
                                      name => "mapped?key=$key{mapped}");
    $client->command('FCUnpublish', undef, 'mapped');
    $client->status();
    is($client->publish("mapped?key=$key{mapped}")->{code},
       'NetStream.Publish.Start', 'the same stream may be published again');
    $client->close();
}


# --- files --------------------------------------------------------------------

# Asks until both workers have read the file anew.
sub read_by_both {
    my ($text, @question) = @_;

    my $before = () = $t->log(qr/keys were read/);

    ok($t->wait_for(sub {
           my @lines = $t->log(qr/keys were read/);
           my %pid = map { /#(\d+):/ => 1 } @lines[$before .. $#lines];

           return 1 if keys %pid == 2;

           ask(@question);
           return 0;
       }, 30, $text), $text);
}


sub test_file {
    is(ask('file', "ann?key=$key{file}"), 'Start', 'a list: a stream\'s key');
    is(ask('file', "bob?key=$key{file}"), 'Denied', 'is not another one\'s');
    is(ask('file', "bob?key=$key{again}"), 'Start', 'which has its own');
    is(ask('file', "bob?key=$key{any}"), 'Start', 'a key of the second list');
    is(ask('file', "dan?key=$key{any}"), 'Start', 'is for all streams');
    is(ask('file', "ann?key=ann"), 'Denied', 'a name is no key');

    # another file of that name
    $t->write_file('keys.new', "ann KEYnew\ncarol $key{file}\n");
    rename $t->dir() . '/keys.new', $t->dir() . '/keys' or die $!;

    read_by_both('a new file is read', 'file', 'ann?key=KEYnew');
    is(ask('file', 'ann?key=KEYnew'), 'Start', 'its keys are in force');
    is(ask('file', "ann?key=$key{file}"), 'Denied', 'its old keys are void');
    is(ask('file', "carol?key=$key{file}"), 'Start', 'the new ones are not');
    is(scalar(() = $t->log(qr{keys were read from ".*/keys": 2})), 2,
       'it was read once by each worker');

    # written in place
    $t->write_file('keys', "ann KEYnewer\n");
    read_by_both('so is one that was changed', 'file', 'ann?key=KEYnewer');
    is(ask('file', 'ann?key=KEYnewer'), 'Start', 'and counts');

    $t->write_file('keys', "ann KEYnewest\nann bob carol\n");
    ok($t->wait_for(sub { ask('file', 'ann?key=KEYnewest');
                          $t->log(qr/more than a name and a key in .*keys:2/)
                      }, 10, 'error'), 'a bad one is not');
    is(ask('file', 'ann?key=KEYnewer'), 'Start', 'what was read before counts');
    is(ask('file', 'ann?key=KEYnewest'), 'Denied', 'and nothing of it');
    like(join("\n", $t->log(qr/stay in force/)), qr{/keys" stay in force},
         'the log says so');

    unlink $t->dir() . '/keys';
    ok($t->wait_for(sub { ask('file', 'ann?key=KEYnewer');
                          $t->log(qr{/keys" failed, the keys}) }, 10, 'error'),
       'one that is gone is reported');
    is(ask('file', 'ann?key=KEYnewer'), 'Start', 'and its keys stay');

    mkdir $t->dir() . '/keys';
    ok($t->wait_for(sub { ask('file', 'ann?key=KEYnewer');
                          $t->log(qr{/keys" is no file}) }, 10, 'error'),
       'so is what is no file');
    rmdir $t->dir() . '/keys';
    $t->write_file('keys', "ann $key{file}\n");
    read_by_both('it is there again', 'file', "ann?key=$key{file}");
    is(ask('file', "ann?key=$key{file}"), 'Start', 'and counts');
}


# --- names that are keys ------------------------------------------------------

sub test_named {
    my $tags = Test::Live::RTMP::flv_tags($t->clip(seconds => 4, gop => 15));
    my $client = Test::Live::RTMP->start(port => $t->port(1935),
                                         app => 'named', name => $key{named});

    $client->send_tags([ grep { $_->{type} != 18 } @$tags ]);

    ok($t->wait_for(sub { ($t->get('/named/show/source/playlist.m3u8')->{body}
                           // '') =~ /#EXTINF/ }, 15, 'playlist'),
       'a key as the name: the stream has its public name');
    is($t->get("/named/$key{named}/playlist.m3u8")->{status}, 404,
       'and no other');
    like($t->get('/streams?app=named')->{body}, qr/"name":"show"/,
         'also in the list');
    $client->close();

    is(ask('named', $key{again}), 'Start', 'another one');
    is(ask('named', 'show'), 'Denied', 'the public name is no key');
    is(ask('named', $key{mistaken}), 'Denied', 'nor is what is none');
    is(ask('named', "x$key{named}/y"), 'BadName', 'or not even a name');
    is(ask('named', "show?key=$key{other}"), 'Start',
       'a key behind the name does as well');
    is(ask('named', "show?key=$key{named}"), 'Denied',
       'but not one that is a name');
    is(ask('nosuch', $key{mistaken}), 'BadName', 'of no application');

    # OBS has a field for the key, and people put it there
    is(ask('live', $key{one}), 'Denied', 'a key instead of a name');
    is(ask('file', $key{any}), 'Denied', 'one of a list');
}


# --- signatures ---------------------------------------------------------------

sub test_signed {
    my $soon = time() + 100 | 0;

    is(ask('signed', 'a?' . signed('signed/a', $soon)), 'Start', 'signed');
    is(ask('signed', 'a?' . uc(signed('signed/a', $soon)) =~ s/EXPIRES/expires/r
                            =~ s/SIG/sig/r), 'Start', 'in capitals');
    is(ask('signed', 'a?' . signed('signed/a', $soon, $rotated)), 'Start',
       'by either secret');
    is(ask('signed?' . signed('signed/a', $soon), 'a'), 'Start',
       'behind the application');
    is(ask('strange/app', 'a?' . signed('strange/app/a', $soon)), 'Start',
       'an application\'s name with a slash');
    is(ask('signed', 'a?' . signed('signed/a', $soon, 'x')), 'Denied',
       'by another secret');
    is(ask('signed', 'b?' . signed('signed/a', $soon)), 'Denied',
       'for another name');
    is(ask('strange/app', 'a?' . signed('signed/a', $soon)), 'Denied',
       'for another application');
    is(ask('signed', 'a?' . signed('signed/a', $soon)
                          =~ s/$soon/$soon + 1/er), 'Denied',
       'with another time');
    is(ask('signed', 'a?' . signed('signed/a', int(time()) - 1)), 'Denied',
       'too late');
    is(ask('signed', 'a?' . signed('signed/a', $_)), 'Denied', "at \"$_\"")
        for '', 'x', -1, '1e12', '9999999999999', '99999999999999999999';
    is(ask('signed', "a?expires=$soon"), 'Denied', 'without a signature');
    is(ask('signed', "a?expires=$soon&sig="), 'Denied', 'with an empty one');
    is(ask('signed', "a?expires=$soon&sig=" . '0' x 63), 'Denied', 'short');
    is(ask('signed', "a?expires=$soon&sig=" . '0' x 65), 'Denied', 'long');
    is(ask('signed', 'a'), 'Denied', 'with nothing');

    like(description('signed', 'a'), qr/a signed name is wanted/, 'none');
    like(description('signed', 'a?' . signed('signed/a', 1000000)),
         qr/has expired/, 'expired');
    like(description('signed', 'a?' . signed('signed/b', $soon)),
         qr/signature is not valid/, 'wrong');
}


sub test_together {
    my $sig = signed('both/a', time() + 100 | 0);

    is(ask('both', "a?key=$key{one}&$sig"), 'Start', 'key and signature');
    is(ask('both', "a?$sig"), 'Denied', 'the key is not enough');
    is(ask('both', "a?key=$key{one}"), 'Denied', 'nor is the signature');
    is(ask("both?$sig", "a?key=$key{one}"), 'Start', 'wherever they stand');
}


# An encoder as people have it.
sub test_encoder {
    my $pid = $t->ffmpeg_publish("live/encoder?key=$key{two}", realtime => 0,
                                 clip => { seconds => 3, gop => 15 });

    is($t->wait_exit($pid, 60), 0, 'ffmpeg: rtmp://host/live/name?key=...')
        or diag($t->output($pid));
    like($t->get('/live/encoder/source/playlist.m3u8')->{body}, qr/#EXTINF/,
         'the stream is there');

    $pid = $t->ffmpeg_publish('live/nokey?key=wrong', realtime => 0,
                              clip => { seconds => 3, gop => 15 });
    isnt($t->wait_exit($pid, 60), 0, 'ffmpeg with a wrong key ends');
    is($t->get('/live/nokey/playlist.m3u8')->{status}, 404, 'without stream');
}


# What a reload changes is for those who come.
sub test_reload {
    my $client = Test::Live::RTMP->start(port => $t->port(1935), app => 'live',
                                         name => "stays?key=$key{two}");

    $t->write_file('nginx.conf', $t->read_file('nginx.conf')
                                 =~ s/publish_key "$key{two}"/publish_key KEYafter/r);
    ok($t->reload(), 'reload');

    is(ask('live', 'a?key=KEYafter'), 'Start', 'a new key');
    is(ask('live', "a?key=$key{one}"), 'Start', 'one that stayed');
    is(ask('live', "a?key=$key{two}"), 'Denied', 'one that went');
    like($t->get('/streams?app=live')->{body},
         qr/"name":"stays","state":"live"/, 'who published publishes on');
    $client->close();
}


# --- nothing shows a key ------------------------------------------------------

sub test_secrecy {
    my %shown;

    # as it is, its digits, and what a log makes of it
    my $any = qr/KEY[a-z]|a1b2c3d4e5|A1B2C3D4E5/;

    for my $file (qw/ error.log debug.log stream.log access.log /) {
        my $text = $t->read_file($file) // '';

        ok(length $text, "$file has something");
        # in the access log what this test itself asked for
        $text =~ s{"GET /named/KEYnamed\S* HTTP}{}g if $file eq 'access.log';

        # so does nginx's own debug log of what it was asked for
        $text =~ s{^.*\[debug\].*(?:http|uri|request|location|conf).*$}{}img
            if $file eq 'debug.log';

        $shown{"$file: $_"} = 1 for grep { /$any/ } split /\n/, $text;
    }

    like($t->read_file('debug.log'), qr/\[debug\]/, 'at debug level')
        if $t->version() =~ /--with-debug/;

    for my $app (qw/ live open map file named signed both /) {
        my $body = $t->get("/streams?app=$app")->{body};

        $shown{"/streams: $body"} = 1 if $body =~ $any;
    }

    for my $path ('/live/encoder/playlist.m3u8', '/named/show/playlist.m3u8',
                  '/live/encoder/source/playlist.m3u8',
                  '/live/encoder/manifest.mpd', '/named/show/manifest.mpd')
    {
        my $r = $t->get($path);

        is($r->{status}, 200, $path);
        $shown{$path} = 1 if $r->{body} =~ $any
                             || grep { /$any/ } values %{ $r->{headers} };
    }

    for my $pid ($t->master(), $t->workers()) {
        $shown{"process $pid"} = 1
            if Test::Live::slurp_proc($pid, 'cmdline') =~ $any;
    }

    $shown{"answer: $_"} = 1 for grep { /$any/ } keys %refused;

    is_deeply([ sort keys %shown ], [], 'no key is shown anywhere');
}
