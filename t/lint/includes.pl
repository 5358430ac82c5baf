#!/usr/bin/env perl

# A folder includes only what stands below it: base <- proto, media, manifest
# <- core <- ingest, transcode, http, which never include each other; pure
# code includes no nginx header.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use File::Basename;
use Test::Lint;
use Test::More;

my %allowed = (
    base      => [],
    proto     => [qw/ base /],
    media     => [qw/ base /],
    manifest  => [qw/ base /],
    core      => [qw/ base media manifest /],
    ingest    => [qw/ base core proto media /],
    transcode => [qw/ base core media /],
    http      => [qw/ base core media manifest /],
);

my %home = map { basename($_) => basename(dirname($_)) }
           files(qr/\.h$/, 'src');

my (@direction, @nginx, @unknown);

for my $file (files(qr/\.[ch]$/, 'src')) {
    my $folder = basename(dirname($file));

    unless ($allowed{$folder}) {
        push @unknown, "$file: $folder has no rule";
        next;
    }

    my %may = map { $_ => 1 } $folder, @{ $allowed{$folder} };
    my $pure = grep { $_ eq $folder } @Test::Lint::PURE;

    my $text = slurp($file);

    while ($text =~ /^\s*#\s*include\s*[<"]([^>"]+)[>"]/mg) {
        my $header = basename($1);
        my $other = $home{$header};

        push @direction, "$file ($folder) includes $header ($other)"
            if $other && !$may{$other};

        push @nginx, "$file is pure and includes $header"
            if $pure && $header =~ /^ngx_/;
    }
}

none('includes go downwards', @direction);
none('pure code includes no nginx header', @nginx);
none('every folder has its rule', @unknown);

none('prefixes tell the layer', grep {
    my $folder = basename(dirname($_));
    my $pure = grep { $_ eq $folder } @Test::Lint::PURE;

    $pure ? basename($_) !~ /^live_/
          : basename($_) !~ /^ngx_(live|stream_live|http_live)[_.]/
} files(qr/\.[ch]$/, 'src'));

done_testing();
