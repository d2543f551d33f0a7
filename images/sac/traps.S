/* The interrupt gates' stubs. */
        .code32
        .text

        .macro  trap vector, has_error
        .balign 16
        .if !\has_error
        pushl   $0
        .endif
        pushl   $\vector
        jmp     trap_common
        .endm

        .globl  trap_stubs
        .balign 16
trap_stubs:                     /* 16 bytes each */
        .set    vector, 0
        .rept   49
        .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
        trap    vector, 1
        .else
        trap    vector, 0
        .endif
        .set    vector, vector + 1
        .endr

        .balign 16
trap_common:
        pushal
        cld
        pushl   40(%esp)        /* eip */
        pushl   40(%esp)        /* error code */
        pushl   40(%esp)        /* vector */
        call    trap_enter
        addl    $12, %esp
        popal
        addl    $8, %esp
        iret

        .section .note.GNU-stack, "", @progbits
