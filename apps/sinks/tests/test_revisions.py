from apps.sinks.revisions import Revision, Revisions


def test_an_action_without_revisions_owes_everything() -> None:
    assert Revisions([]).at(7).on
    assert Revisions([]).start_after(7) == 7


def test_the_last_revision_made_at_a_position_governs_it() -> None:
    revisions = Revisions([Revision(0, True), Revision(5, False), Revision(5, True, {"==": [1, 1]})])

    assert revisions.at(4).condition is None
    assert revisions.at(5).condition == {"==": [1, 1]}


def test_the_first_revision_holds_for_what_came_before_it() -> None:
    assert Revisions([Revision(10, True, True)]).at(3).condition is True


def test_an_interval_in_which_the_action_was_off_is_skipped_unread() -> None:
    revisions = Revisions([Revision(0, True), Revision(10, False), Revision(20, True)])

    assert revisions.start_after(8) == 8
    assert revisions.start_after(9) == 19
    assert revisions.start_after(15) == 19
    assert revisions.start_after(25) == 25


def test_an_action_that_is_off_for_good_owes_nothing_more() -> None:
    revisions = Revisions([Revision(0, True), Revision(10, False)])

    assert revisions.start_after(8) == 8
    assert revisions.start_after(9) is None
