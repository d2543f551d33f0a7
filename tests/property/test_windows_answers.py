"""Whatever an installation is told, its answer file is complete."""

from hypothesis import assume, given
from hypothesis import strategies as st

from emulator.errors import SpecError
from emulator.machine.spec import Firmware
from emulator.windows.answer_file import Answers, render_answer_file
from tests.support.answer_file_check import find_gaps

ANSWERS = st.fixed_dictionaries(
    {
        "image_index": st.integers(1, 1000),
        "password": st.text("aZ9<&>\"'!~", min_size=8, max_size=63),
        "firmware": st.sampled_from([Firmware.SEABIOS, Firmware.OVMF]),
        "computer_name": st.text("aZ9-", min_size=1, max_size=15),
        "language": st.from_regex(r"\A[a-z]{2,3}-[A-Z]{2}\Z"),
        "product_key": st.sampled_from(["", "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"]),
    }
)


@given(given_answers=ANSWERS)
def test_every_answer_file_is_complete(given_answers):
    try:
        answers = Answers(**given_answers)
    except SpecError:
        assume(False)
    assert find_gaps(render_answer_file(answers)) == []
