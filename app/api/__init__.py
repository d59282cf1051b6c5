"""The REST API: pictures in, masks and everything else out; docs at /api/docs and docs/api.md.

    curl -F file=@cat.jpg http://127.0.0.1:7860/api/predict > mask.png
    curl -T cat.jpg -X POST "http://127.0.0.1:7860/api/predict?output=json"
    curl -F files=@a.jpg -F files=@b.jpg http://127.0.0.1:7860/api/predict/batch > masks.zip

Every error is JSON, {"detail": "a sentence"}:

    400  a malformed form          415  a body that is neither form nor picture
    404  unknown model             422  not a picture, damaged, or a wrong or missing argument
    408  too slow an upload        503  busy (with Retry-After), or the checkpoint is damaged
    413  too many bytes or pixels

    application.py   the whole, to be mounted
    segmenting.py    /predict and /predict/batch
    describing.py    /models
    running.py       /health and /metrics, for whoever runs it
    schema.py        arguments and answers; openapi.py what they cannot say of forms
    tasks.py         what is done with one picture; batch.py many, in a ZIP
    problems.py      every error in a sentence
"""
