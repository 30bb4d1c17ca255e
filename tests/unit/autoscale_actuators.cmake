prism_test(unit/autoscale_settle SOURCES ${T}/autoscale_settle_test.c LINK autoscale_core)
prism_test(unit/autoscale_aws_words SOURCES ${T}/autoscale_aws_words_test.c LINK autoscale_io)
