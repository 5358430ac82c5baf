#!/usr/bin/env perl

# What object files need and what the shared object offers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::Lint;
use Test::More;

my $build = build_dir();
my $pure = join '|', @Test::Lint::PURE;

my (@missing, @nginx, @names);

for my $source (files(qr{^src/($pure)/.*\.c$}, 'src')) {
    (my $object = "$build/unit/$source") =~ s/\.c$/.o/;

    unless (-f $object) {
        push @missing, "$object";
        next;
    }

    push @nginx, map { "$source: $_" } grep { /^ngx_/ } symbols('-u', $object);

    push @names, map { "$source: $_" }
                 grep { !/^live_/ } symbols('--defined-only -g', $object);
}

none('pure code compiles', @missing);
none('pure code needs no ngx_ symbol', @nginx);
none('pure code defines live_ symbols only', @names);

my @exports = sort(symbols('-D --defined-only', "$build/ngx_live_module.so"));

is("@exports", 'ngx_module_names ngx_module_order ngx_modules',
   'the shared object exports the three module tables');

my @strings = `strings -a '$build/ngx_live_module.so'`;
chomp(my $here = `pwd -P`);

none('the shared object names no folder of this machine',
     grep { index($_, $here) >= 0 } @strings);

done_testing();


# Names that the sanitizers put into an object are not ours.
sub symbols {
    my ($options, $file) = @_;

    return grep { !/^(__asan|__ubsan|__odr_asan|_?_?sanitizer|\.?LASAN)/ }
           map { (split)[-1] } `nm $options '$file' 2>/dev/null`;
}
