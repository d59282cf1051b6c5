"""The README tells the truth: its figures are the checkpoints', its pictures and links exist."""

import re
from pathlib import Path

from model.checkpoints import folder, zoo
from model.evaluation.results import markdown_table

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_table_is_what_the_results_command_prints():
    shown = re.search(r"<!-- results -->\n(.*?)\n<!-- /results -->", README, re.DOTALL)
    assert shown[1] == markdown_table(zoo.list_bundled()[0])


def test_its_pictures_and_links_are_there():
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert {"LICENSE", "CONTRIBUTING.md"} <= set(targets)
    assert [target for target in targets if not (REPOSITORY / target).exists()] == []


def test_each_bundled_checkpoint_is_complete_and_scored():
    checkpoints, damaged = zoo.list_bundled()
    assert damaged == {}
    assert {c.name for c in checkpoints} >= {
        "carla-scratch", "carla-resnet34", "carla-mobilenet", "pets-scratch", "pets-mobilenet",
        "road-scratch", "road-vgg16", "aerial-scratch", "aerial-mobilenet",
        "camvid-scratch", "camvid-mobilenet", "streets-scratch", "streets-mobilenet",
    }  # fmt: skip
    for checkpoint in checkpoints:
        history = checkpoint.history()
        training = checkpoint.description["training"]
        if training.get("include_validation"):  # no epoch was chosen, nor anything scored by it
            assert training["best_epoch"] == training["epochs_done"] == len(history)
            assert set(checkpoint.metrics["splits"]) == {"test"}
        else:
            best = max(history, key=lambda row: row["val_iou"])["epoch"]
            assert training["best_epoch"] == best
            assert set(checkpoint.metrics["splits"]) == {"validation", "test"}
        sizes = checkpoint.description["data"]["split_sizes"]
        assert len(checkpoint.per_image()) == sizes["test"]
        card = (checkpoint.path / folder.CARD_FILE).read_text(encoding="utf-8")
        assert checkpoint.description["training"]["command"] in card
