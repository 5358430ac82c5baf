#!/usr/bin/env perl

# The directives of limits: what nginx -t accepts, and what it refuses with
# directive, file and line; what inherits.

use strict;
use warnings;

use Test::More;
use Test::Live;

my $t = Test::Live->new();

# what may stand where: { directive => [ good values, bad values ] }
my %live = (
    max_publications => [
        [ '1', '1000000', 'off', '10 per_address=1', 'off per_address=2',
          '5 per_address=off' ],
        [ '0', '-1', '1000001', 'many', '""', '1.5', '10 per_address=0',
          '10 per_address=', '10 per_address=x', '10 per_worker=1',
          '10 peraddress' ] ],
    max_transcodes => [
        [ '1', '1000000', 'off', '10 per_worker=4', 'off per_worker=1' ],
        [ '0', '-1', '1000001', 'all', '10 per_worker=0',
          '10 per_worker=1000001', '10 per_address=1' ] ],
    max_bitrate => [
        [ '1k', '1000', '20m', '20M', '10000m', 'off', '6m window=1s',
          '6m window=10m' ],
        [ '0', '999', '-1m', '10001m', '99999999999999999999m', 'k', 'm', '""',
          '1g', 'fast', '6m window=999ms', '6m window=11m', '6m window=',
          '6m over=1s' ] ],
    max_gop => [
        [ '100ms', '2s', '10m', 'off' ],
        [ '0', '99ms', '11m', '-1s', 'often', '""' ] ],
);

my %stream = (
    live_handshake_timeout => [
        [ '100ms', '5s', '10m' ], [ '0', '99ms', '11m', '-1s', 'soon' ] ],
    live_connect_timeout => [
        [ '100ms', '10s', '10m' ], [ '0', '99ms', '11m', '-1s', 'soon' ] ],
    live_max_chunk_streams => [
        [ '8', '64' ], [ '0', '7', '65', '-8', 'x' ] ],
    live_max_amf_size => [
        [ '4k', '4096', '1m' ], [ '0', '4095', '1025k', '-4k', 'x' ] ],
    live_max_amf_depth => [
        [ '4', '64' ], [ '0', '3', '65', '-4', 'x' ] ],
    live_max_setup_size => [
        [ '4k', '64k', '1m' ], [ '0', '4095', '1025k', '-4k', 'x' ] ],
    live_max_setup_messages => [
        [ '10', '10000' ], [ '0', '9', '10001', '-10', 'x' ] ],
);

my %http = (
    live_max_parked => [
        [ '1', '1000000', 'off', '5000 per_address=20', 'off per_address=4' ],
        [ '0', '-1', '1000001', 'none', '""', '5 per_address=0',
          '5 per_address=x', '5 per_worker=1' ] ],
);

# Every value where the block is outermost, one of each in the others.
each_of(\%live, 'live', \&in_live);
each_of(\%stream, 'stream', \&in_stream);
each_of(\%http, 'http', \&in_http);
one_of(\%live, 'an application', \&in_application);
one_of(\%stream, 'a server of stream', \&in_stream_server);
one_of(\%http, 'a server', \&in_server);
one_of(\%http, 'a location', \&in_location);

# one of each kind is not for the others
foreign('max_publications 1;', \&in_stream_server);
foreign('max_bitrate 1m;', \&in_location);
foreign('live_connect_timeout 1s;', \&in_live);
foreign('live_max_amf_size 4k;', \&in_location);
foreign('live_max_parked 1;', \&in_stream_server);
foreign('live_max_parked 1;', \&in_application);

# several limits at once
good('all of them',
     config("max_publications 9 per_address=2;\nmax_bitrate 8m window=5s;\n"
            . "max_gop 10s;\nmax_transcodes 2 per_worker=1;",
            "max_publications off;\nmax_bitrate off;\nmax_gop off;\n"
            . "max_transcodes off;",
            "live_connect_timeout 5s;\nlive_max_chunk_streams 16;",
            "live_connect_timeout 7s;\nlive_max_chunk_streams 8;",
            'live_max_parked 9;', 'live_max_parked off per_address=2;'));

done_testing();


# --- tools --------------------------------------------------------------------

sub each_of {
    my ($directives, $where, $in) = @_;

    # the first ones of all in one file, the second ones, and so on
    for my $i (0 .. 7) {
        my @lines = map { defined $directives->{$_}[0][$i]
                          ? "$_ $directives->{$_}[0][$i];" : () }
                    sort keys %$directives;

        good("@lines in $where", $in->(join "\n", @lines)) if @lines;
    }

    for my $name (sort keys %$directives) {
        my ($good, $bad) = @{ $directives->{$name} };

        wrong($name, $_, $where, $in) for @$bad;

        bad("$name twice in $where",
            $in->("$name $good->[0];\n$name $good->[0]; #!"),
            qr/"$name" directive is duplicate/);
        bad("$name alone in $where", $in->("$name; #!"),
            qr/invalid number of arguments in "$name" directive/);
    }
}


sub one_of {
    my ($directives, $where, $in) = @_;

    my @names = sort keys %$directives;

    good("@names in $where", $in->(join "\n", map {
        "$_ $directives->{$_}[0][0];"
    } @names));

    wrong($_, $directives->{$_}[1][0], $where, $in) for @names;
}


sub wrong {
    my ($name, $value, $where, $in) = @_;

    bad("$name $value in $where", $in->("$name $value; #!"),
        qr/"$name"\ must\ be\ \w+\ to\ \w+
           |"$name"\ directive\ invalid\ (?:number|value)
           |invalid\ value\ "[^"]*"\ of\ "$name",\ it\ must\ be\ \w
           |invalid\ parameter\ "[^"]*"\ of\ "$name"/x);
}


sub foreign {
    my ($directive, $in) = @_;

    my ($name) = $directive =~ /^(\w+)/;

    bad("$name in another block", $in->("$directive #!"),
        qr/"$name" directive is not allowed here|unknown directive "$name"/);
}


sub config {
    my ($live, $application, $stream, $server, $http, $location, $web) = @_;

    $_ //= '' for $live, $application, $stream, $server, $http, $location, $web;

    return <<"EOT";
%%TEST_GLOBALS%%
events { }
live {
zone 8m;
$live
application live {
$application
}
}
stream {
$stream
server {
listen 127.0.0.1:%%PORT_1935%%;
$server
live_rtmp;
}
}
http {
%%TEST_GLOBALS_HTTP%%
$http
server {
listen 127.0.0.1:%%PORT_8080%%;
$web
location /live/ {
$location
live_play live;
}
}
}
EOT
}


sub in_live          { return config($_[0]) }
sub in_application   { return config('', $_[0]) }
sub in_stream        { return config('', '', $_[0]) }
sub in_stream_server { return config('', '', '', $_[0]) }
sub in_http          { return config('', '', '', '', $_[0]) }
sub in_location      { return config('', '', '', '', '', $_[0]) }
sub in_server        { return config('', '', '', '', '', '', $_[0]) }


sub nginx_t {
    my ($text) = @_;

    $t->write_file('nginx_t.out', '');

    return $t->nginx_t($text);
}


sub good {
    my ($name, $text) = @_;

    my ($code, $output) = nginx_t($text);

    is($code, 0, "accepted: $name") or diag($output);
}


# What is wrong stands in the line that ends in "#!".
sub bad {
    my ($name, $text, $pattern) = @_;

    my @lines = split /\n/, $t->expand($text);
    my ($line) = grep { $lines[$_ - 1] =~ /#!$/ } 1 .. @lines;
    my ($code, $output) = nginx_t($text);
    my ($message) = $output =~ /^nginx: \[emerg\] (.*)/m;

    ok($code, "refused: $name") or return;
    like($message // $output, qr/^(?:$pattern).*\ in \S*nginx_t\.conf:$line$/,
         "$name: the message says what and where")
        or diag($output);
}
