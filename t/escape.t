#!/usr/bin/env perl

# What clients say goes nowhere as it is: not into a log, a playlist, a manifest
# or the API; and no request's path touches the file system.

# asan

use strict;
use warnings;

use Test::Live;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 1;
events { }

thread_pool live threads=1;

live {
    zone 64m;
    thread_pool live;
    segment 1s max=3s;
    window 30s;

    application live { }
    application "q\"<&" { }
}

stream {
    log_format live '$live_app|$live_name|$live_state';
    access_log %%DIR%%/stream.log live;

    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { root %%DIR%%; }
        location /live/ { live_play live; }
        location /any/ { live_play $arg_app; }
        location /streams { live_api live; }
        location /odd { live_api "q\"<&"; }
        location /named { live_api $arg_app; }
    }
}
CONF

$t->write_file('here.txt', "static\n");

# breaks out of a line, of quotes, of a tag, of a terminal
my $EVIL = qq(EVIL"'<i>&amp;\\,]}) . "\r\n2026/01/01 00:00:00 [alert] INJECTED\n"
           . qq{#EXT-X-INJECTED:\n\x1b[31m\x00\x7f\xc3\xa9\xff\t%0a%22%n%s};

my @names = ($EVIL, '"', "a\nb", "a\r\nb", '<b>', 'a&b', "\xc3\xa9", "\xff\xfe",
             'a%22b', 'a%0ab', '%n%s%p', 'a b', '../x', '.', '..', '/etc/passwd',
             'a/../b', "a\0b", "\x1b[31m", 'x' x 129, 'x' x 600, 'x' x 60_000,
             '');

my $tags = Test::Live::RTMP::flv_tags($t->clip(seconds => 5, gop => 15));

$t->run();

# in the middle of a line it is what an encoder said; see test_log()
$t->allow_log(qr/. \[alert\] INJECTED/);

test_names();
test_strings();
test_requests();
test_log();
test_files();

done_testing();


sub client {
    my (%properties) = @_;

    my $app = delete $properties{app} // 'live';
    my $client = Test::Live::RTMP->new(port => $t->port(1935), timeout => 5);

    $client->handshake() or return undef;

    return $client->connect($app, %properties) ? $client : undef;
}


# --- what publishers say ------------------------------------------------------

sub test_names {
    my @accepted;

    for my $name (@names) {
        my $client = client();
        my $info = $client->publish($name);

        push @accepted, $name
            if $info && $info->{code} eq 'NetStream.Publish.Start';
        $client->close();
    }

    # and of applications
    for my $app (grep { length } @names) {
        my $client = client(app => $app) or next;
        my $info = $client->publish('x');

        push @accepted, "application $app"
            if $info && $info->{code} eq 'NetStream.Publish.Start';
        $client->close();
    }

    is_deeply(\@accepted, [], 'odd names are refused');
}


# A stream like any other, but for what its encoder says of itself.
sub test_strings {
    my $client = client(tcUrl => "rtmp://127.0.0.1/$EVIL", swfUrl => $EVIL,
                        pageUrl => $EVIL, flashVer => $EVIL, $EVIL => $EVIL);
    my $info = $client->publish('good?key=' . $EVIL =~ s/[^ -~]//gr) || {};

    is($info->{code} // $client->error(), 'NetStream.Publish.Start', 'a good name is accepted');

    $client->set_chunk_size(4096);
    $client->metadata(encoder => $EVIL, title => $EVIL, $EVIL => $EVIL,
                      width => 1, videocodecid => 7);
    $client->data('onTextData', { text => $EVIL });
    $client->data($EVIL, $EVIL);
    $client->send_tags([ grep { $_->{type} != 18 } @$tags ]);

    ok($t->wait_for(sub { ($t->get('/live/good/source/playlist.m3u8')->{body}
                           // '') =~ /#EXTINF/ }, 15, 'playlist'),
       'it is there');

    my $other = client(app => 'q"<&');
    $other->publish('x');

    my @shown = map { [ $_, $t->get($_)->{body} ] }
                '/live/good/playlist.m3u8', '/live/good/source/playlist.m3u8',
                '/live/good/audio/playlist.m3u8', '/live/good/manifest.mpd',
                '/live/good/ts/playlist.m3u8', '/streams', '/odd',
                '/named?app=' . join '', map { sprintf '%%%02x', ord }
                                         split //, substr $EVIL, 0, 40;

    for (@shown) {
        my ($path, $body) = @$_;

        unlike($body, qr/EVIL|INJECTED|[^\n\x20-\x7e]/, "$path shows nothing "
                                                       . 'of it');
    }

    is($shown[6][1], '{"streams":[{"application":"q\"<&","name":"x"'
                     . substr($shown[6][1], index($shown[6][1], ',"state"')),
       'an application\'s name is escaped as JSON wants it');

    # one that is refused is told why, in plain text
    my $refused = client()->publish($EVIL) || {};

    unlike($refused->{description} // '', qr/[^\x20-\x7e]/,
           'and so is what a publisher is told');

    $_->close() for $client, $other;
}


# --- requests -----------------------------------------------------------------

my @paths;

sub test_requests {
    my @names = ('..', '../..', '%2e%2e', '..%2f..', '%00', '%0a%0d', '"', '<i>',
                 "'", '%22', '%3cscript%3e', '%ff%fe', '%c3%a9', '.hidden',
                 'good%00', 'good/..', 'a' x 3000, '%25n', '\\..\\', '~', '*');

    @paths = ('/live/good/../../here.txt', '/live/%2e%2e/%2e%2e/etc/passwd');

    for my $name (@names) {
        push @paths, "/live/$name/playlist.m3u8", "/live/good/$name",
                     "/live/good/$name/playlist.m3u8",
                     "/live/good/source/$name", "/live/good/source/seg-$name-1.m4s",
                     "/live/good/source/init-$name-1.mp4",
                     "/live/good/source/playlist.m3u8?_HLS_msn=$name",
                     "/live/good/thumbnail.jpg?w=$name",
                     "/any/good/playlist.m3u8?app=$name",
                     "/named?app=$name";
    }

    # /live/good/../../here.txt is the file of another location
    my %wrong;

    for my $path (@paths) {
        my $r = $t->get($path, headers => { 'User-Agent' => "x\t\"<EVIL>",
                                            Referer => '"<EVIL>' });

        $wrong{"$path: $r->{status}"} = 1
            if $r->{status} !~ /^(?:200|400|404)$/ && !leaves($path)
               || $r->{status} == 200
                  && $path !~ m{good|named|here\.txt};
        $wrong{"$path: what it asks for is shown"} = 1
            if ($r->{body} // '') =~ /EVIL|<i>|script|[^\n\r\t\x20-\x7e]/
               && ($r->{headers}{'content-type'} // '') !~ /image|mp4/;
    }

    is_deeply([ sort keys %wrong ], [], @paths . ' odd requests: they find '
                                        . 'nothing and show nothing');
}


# Each line is one of nginx, of printable characters.
sub test_log {
    for my $file ('error.log', 'stream.log', 'access.log') {
        my @lines = split /\n/, $t->read_file($file) // '';
        my $begin = { 'error.log' => qr{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d},
                      'stream.log' => qr/^[^|]*\|[^|]*\|/,
                      'access.log' => qr/^127\.0\.0\.1 - / }->{$file};

        cmp_ok(scalar @lines, '>', 5, "$file: " . @lines . ' lines');
        is_deeply([ grep { !/$begin/ || /[^\x20-\x7e]/ } @lines ], [],
                  "$file: nothing of a client's breaks a line");
    }

    is(scalar(() = $t->log(qr/^\S+ \S+ \[alert\]/)), 0,
       'nor passes for an alert');
}


# --- files --------------------------------------------------------------------

# System calls that name a file, of all threads of the worker, meanwhile.
sub files_of {
    my ($sub) = @_;

    my ($worker) = $t->workers();
    my $pid = $t->spawn(qw/ strace -f -q -q -e trace=%file -o /,
                        $t->dir() . '/calls', '-p', $worker);

    $t->wait_for(sub { Test::Live::slurp_proc($worker, 'status')
                       =~ /^TracerPid:\s+[1-9]/m }, 10, 'strace');
    $sub->();

    # what it saw is written when it goes
    $t->end($pid, 'INT');

    return grep { /\(/ && !/^\d+ +(?:---|\+\+\+)/ }
           split /\n/, $t->read_file('calls') // '';
}


sub test_files {
    my @seen = files_of(sub { $t->get('/here.txt') });

    ok(scalar(grep { /here\.txt/ } @seen), 'a file that is asked for is seen');

    my @own = grep { !m{^/live/good/\.\./\.\./} && $_ !~ m{^/live/%2e} } @paths;
    my @live = grep { !leaves($_) } @own, '/live/good/playlist.m3u8',
                                    '/live/good/source/playlist.m3u8',
                                    '/live/good/manifest.mpd',
                                    '/live/good/thumbnail.jpg', segments();

    @seen = files_of(sub { $t->get($_) for @live });

    is_deeply(\@seen, [], @live . ' requests for streams touch no file');
}


# nginx makes another location of it
sub leaves {
    my ($path) = @_;

    my @parts;

    for (split m{/}, $path =~ s/\?.*//r =~ s/%([0-9a-f]{2})/chr hex $1/gier) {
        $_ eq '..' ? pop @parts : push @parts, $_ if length && $_ ne '.';
    }

    return !@parts || $parts[0] !~ /^(?:live|any|named)$/;
}


sub segments {
    my @urls;

    for my $track (qw/ source audio ts /) {
        my $r = $t->get("/live/good/$track/playlist.m3u8");
        my @segments = @{ Test::Live::M3U8->parse($r->{body})->{segments} };

        push @urls, map { "/live/good/$track/$_" }
                    grep { defined } map { @$_{qw/ map uri /} } @segments;
    }

    return @urls;
}
