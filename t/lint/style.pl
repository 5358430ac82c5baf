#!/usr/bin/env perl

# Layout of the text, and what must not be in the tree at all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::Lint;
use Test::More;

my $machine = join '|', qw{ /work /farm /root /home/\w+ /Users/\w+ };

my (@columns, @tabs, @trailing, @comments, @guards);

for my $file (files(qr/\.[ch]$/, 'src', 't')) {
    my $text = slurp($file);
    my $number = 0;

    for (split /\n/, $text) {
        $number++;

        push @columns, "$file:$number" if length > 80;
        push @tabs, "$file:$number" if /\t/;
        push @trailing, "$file:$number" if /\s$/;
        push @comments, "$file:$number" if m{^\s*//};
    }

    push @trailing, "$file: no newline at its end" unless $text =~ /\n\z/;

    next unless $file =~ m{^src/.*?(\w+)\.h$};

    my $guard = '_' . uc($1) . '_H_INCLUDED_';
    push @guards, "$file: $guard" unless $text =~ /^#define \Q$guard\E$/m;
}

none('no line of C is over 80 columns', @columns);
none('no tab in C', @tabs);
none('no space at the end of a line', @trailing);
none('comments are /* */', @comments);
none('headers have their guard', @guards);

my (@paths, @big, @binary);

for my $file (files(qr/./, '.')) {
    push @big, $file if -s $file > 1024 * 1024;

    next if -B $file;

    my $number = 0;

    for (split /\n/, slurp($file)) {
        $number++;
        push @paths, "$file:$number: $_" if m{(?<![\w.\$\})])($machine)/}
                                            && $file ne 't/lint/style.pl';
    }
}

none('no path of a machine', @paths);
none('no file over 1 MiB', @big);

done_testing();
