#!/usr/bin/env perl

# Size caps of files and functions, in lines.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::Lint;
use Test::More;

my $file_cap = 1000;
my $function_cap = 100;
my $parameter_cap = 7;

my @sources = files(qr/\.[ch]$/, 'src');

none("files have at most $file_cap lines", map {
    my $lines = () = slurp($_) =~ /\n/g;
    $lines > $file_cap ? "$_: $lines" : ()
} @sources, files(qr/\.(pm|pl|t|js|sh)$/, 't', 'build.sh', 'examples'));

my (@long, @wide, $count);

for (`ctags -f - --languages=C --kinds-C=f --fields=neS @sources 2>/dev/null`) {
    my ($name, $file, $fields) = /^(\S+)\t(\S+)\t(.*)/ or next;
    my ($line) = $fields =~ /\bline:(\d+)/ or next;
    my ($end) = $fields =~ /\bend:(\d+)/ or next;
    my ($signature) = $fields =~ /\bsignature:\((.*?)\)(?:\t|$)/;
    my $parameters = 1 + (() = ($signature || '') =~ /,/g);
    my $length = $end - $line + 1;

    $count++;

    push @long, "$file: $name: $length" if $length > $function_cap;
    push @wide, "$file: $name: $parameters" if $parameters > $parameter_cap;
}

ok($count, 'ctags lists functions');
none("functions have at most $function_cap lines", @long);
none("functions have at most $parameter_cap parameters", @wide);

done_testing();
