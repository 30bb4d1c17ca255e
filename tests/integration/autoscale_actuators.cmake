# Each starts autoscale_server.py itself: no fixture.
prism_test(integration/autoscale_aws SOURCES ${T}/autoscale_aws_test.c ${T}/autoscale_provider.c
    LINK autoscale_io)
foreach(name aws_faults aws_keys)
    prism_test(integration/autoscale_${name} SOURCES ${T}/autoscale_${name}_test.c
        ${T}/autoscale_aws_stage.c ${T}/autoscale_provider.c LINK autoscale_io)
endforeach()
foreach(name kubernetes kubernetes_faults)
    prism_test(integration/autoscale_${name} SOURCES ${T}/autoscale_${name}_test.c
        ${T}/autoscale_kube_stage.c ${T}/autoscale_provider.c LINK autoscale_io)
endforeach()
