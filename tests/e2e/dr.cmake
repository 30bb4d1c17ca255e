prism_script_test(e2e/dr ${T}/dr_test.sh SLOW TIMEOUT 600)
